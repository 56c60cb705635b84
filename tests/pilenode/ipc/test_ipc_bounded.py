"""Promises of the first look at JSON from outside: bounded in size, depth and time, and no key twice."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilenode.ipc.bounded import MAX_LEVELS, UnfitError, outer_keys

MOST = 64 * 1024


def refusal(text: bytes, most: int = MOST) -> str | None:
    """Return why a text is unfit."""
    try:
        outer_keys(text, most)
    except UnfitError as unfit:
        return unfit.code if len(unfit.detail) <= 200 else "long"
    return None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(b"[" * MAX_LEVELS + b"]" * MAX_LEVELS, None, id="as deep as allowed"),
        pytest.param(b"[" * (MAX_LEVELS + 1) + b"]" * (MAX_LEVELS + 1), "too_deep", id="one deeper"),
        pytest.param(b'{"a":' * (MAX_LEVELS + 1), "too_deep", id="deep and cut off"),
        pytest.param(b'["' + b"[" * 20 + b'"]', None, id="brackets in a text"),
        pytest.param(b'["\\"' + b"[" * 20 + b'"]', None, id="brackets after a quote in a text"),
        pytest.param(b'{"a":1,"b":1}', None, id="two keys"),
        pytest.param(b'{"a":1,"b":1,"a":1}', "duplicate_key", id="one twice"),
        pytest.param(b'{"b":{"a":1,"\\u0061":2}}', "duplicate_key", id="in disguise, further in"),
        pytest.param(b"", "malformed", id="nothing"),
        pytest.param(b'{"\xff":1}', "malformed", id="not UTF-8 where nobody looks"),
        pytest.param(b"9" * 5000, "malformed", id="a number of 5000 digits"),
        pytest.param(b'"' + b"x" * 5000, "malformed", id="a text without end"),
    ],
)
def test_what_is_unfit_is_told_by_its_code(text: bytes, code: str | None) -> None:
    """The first thing that is wrong decides."""
    assert refusal(text) == code


def test_the_size_counts_before_everything() -> None:
    """A byte above the cap and nothing else is looked at."""
    assert refusal(b"[]", most=2) is None
    assert refusal(b"[]" + b" " * 3, most=4) == "oversized"
    assert refusal(b"\xff" * 5, most=4) == "oversized"


def test_the_outermost_keys_are_returned() -> None:
    """What the outer object says, and nothing of the inner ones; a list says nothing."""
    assert outer_keys(b'{"a":{"b":1},"c":[]}', MOST) == {"a", "c"}
    assert outer_keys(b'[{"a":1}]', MOST) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'"' + b'\\"' * (MOST // 2 - 1), id="quotes that never end"),
        pytest.param(b'{"a":"' + b"\\\\" * (MOST // 2 - 4), id="backslashes"),
        pytest.param(b"[" * MOST, id="brackets"),
        pytest.param(b"[" + b"[]," * (MOST // 3 - 1) + b"0]", id="many lists"),
        pytest.param(
            b"{" + b",".join(b'"%x":0' % n for n in range(6500)) + b',"1963":0}', id="many keys, the last twice"
        ),
        pytest.param(b'"a"' * (MOST // 3), id="many texts"),
    ],
)
def test_no_text_takes_longer_than_its_length(text: bytes) -> None:
    """64 KiB of the worst, eight times what a command may have, are looked over in less than a fifth of a second."""
    taken_s = []
    for _ in range(3):
        begun_s = time.perf_counter()
        refusal(text, most=len(text))
        taken_s.append(time.perf_counter() - begun_s)
    assert min(taken_s) < 0.2


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def levels(value: object) -> int:
    """Return how deeply a value is nested."""
    if not isinstance(value, list | dict):
        return 0
    return 1 + max(map(levels, value.values() if isinstance(value, dict) else value), default=0)


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=4), st.booleans())
def test_every_good_text_is_fit(value: dict[str, object], plain: bool) -> None:  # noqa: FBT001 - a property
    """Whatever its letters are, however they are written."""
    text = json.dumps(value, ensure_ascii=plain).encode(errors="surrogatepass")
    try:
        text.decode()
    except UnicodeDecodeError:
        assert refusal(text) in {"malformed", "too_deep"}
        return
    assert refusal(text) == ("too_deep" if levels(value) > MAX_LEVELS else None)
