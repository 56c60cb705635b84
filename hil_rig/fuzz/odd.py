"""Values that parsers and judges are known to stumble over, as JSON and as TOML."""

from __future__ import annotations

from typing import Final

#: Numbers on and beyond every limit that an integer or a float has somewhere.
NUMBERS: Final = (
    *("0", "-0", "-1", "1", "2", "99", "100", "255", "256", "65535", "65536", "2147483647", "2147483648"),
    *("4294967296", "9007199254740991", "9007199254740992", "9007199254740993", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775809", "18446744073709551616", "0.0", "-0.0", "0.1", "1.0", "2.0"),
    *(
        "1e308",
        "1e309",
        "-1e309",
        "1e-400",
        "5e-324",
        "1E400",
        "3600.0000000001",
        "9" * 400,
        "9" * 4301,
        "0." + "1" * 400,
    ),
)
#: What stands for a number in JSON by mistake or on purpose.
NO_NUMBERS: Final = (
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "0x10",
    "1_000",
    "--1",
    "1e",
    "null",
    "true",
    "false",
)
#: Strings, written as JSON and TOML basic strings write them.
STRINGS: Final = (
    *('""', '"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\\uffff"', '"\\u202e"'),
    *(
        '"\\n"',
        '"s-1\\n"',
        '" "',
        '"a b"',
        '"../../etc/passwd"',
        '"%s%n"',
        '"\\\\"',
        '"\'\\""',
        '"\\u0661"',
        '"é"',
        '"充电"',
    ),
    '"' + "x" * 64 + '"',
    '"' + "x" * 65 + '"',
    '"' + "y" * 5000 + '"',
    '"' + "\\u0000" * 700 + '"',
    '"' + '\\"' * 3000 + '"',
    '"' + "\\\\" * 3000 + '"',
)
#: Bytes that are no UTF-8, or only in a lenient reader's eyes.
BYTES: Final = (
    *(
        b"\x00",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80",
    ),
    *(b"\xf8\x88\x80\x80\x80", b"\x80", b"\xc3", b"\r\n", b"\x1b[2J", b"\xe2\x80\xa8", b"\x7f"),
)
#: Words of the languages themselves.
WORDS: Final = tuple(
    b'{ } [ ] : , " \\ \\u null true false {} [] [[ ]] # = . \' """ \'\'\' \n {"a": ,"a":1 [{ \\" protocol'.split(b" ")
)
#: Texts that cost more to read than to send: nesting, keys, quotes that never end, brackets.
JSON_BOMBS: Final = (
    b"[" * 8192,
    b'{"a":' * 1600,
    b'{"id":' + b"[" * 4000 + b"]" * 4000 + b"}",
    b"[" + b"[]," * 2700 + b"[]]",
    b'"' + b'\\"' * 4090,
    b'{"id":"' + b'\\"' * 4000,
    b"{" + b",".join(b'"%x":1' % number for number in range(900)) + b',"383":2}',
    b'{"signed":"",' + b",".join(b'"%x":1' % number for number in range(1300)) + b',"513":2}',
    b'{"id":' + b"9" * 8000 + b"}",
    b'{"id":"' + b"\\u0031" * 1300 + b'"}',
    b" " * 8000 + b"{}",
    b'{"\\ud800":1,"\\ud800":2}',  # a key that is JSON and can be written nowhere, in the words of a refusal
)
TOML_BOMBS: Final = (
    b"a" + b".a" * 30_000 + b" = 1",
    b"[" + b"a." * 20_000 + b"a]",
    b"a = " + b"[" * 30_000,
    b"a = " + b"{a = " * 10_000,
    b"\n".join(b"k%d = 1" % number for number in range(7000)),
    b"\n".join(b"[t%d]" % number for number in range(8000)),
    b"[[port]]\n" * 7000,
    b"[limits]\n" + b"\n".join(b"currant_limit_%d = 1" % number for number in range(2800)),
    b"x = {" + b",".join(b"k%d=1" % number for number in range(7000)) + b"}",
    b"limits = {" + b",".join(b"k%d=1" % number for number in range(7000)) + b"}",
    b"port = [" + b"{}," * 20_000 + b"]",
    b"a = " + b"9" * 60_000,
    b'a = "' + b"\\u00e9" * 10_000 + b'"',
    b'a = """' + b'\\"""' * 15_000,
    b"\n".join(b"a.b%d.c = 1" % number for number in range(4500)),
    b"\n".join(b"[[a.b.c.d]]" for _ in range(5000)),
    # The same below the caps.
    b"\n".join(b"k%d = 1" % number for number in range(3900)),
    b"\n".join(b"[t%d]" % number for number in range(3900)),
    b"[[port]]\n" * 1900,
    b"port = [" + b"{}," * 3900 + b"]",
    b"port = [" + b"{number=1}," * 1900 + b"]",
    b"[port]\n" + b"\n".join(b".".join([b"k%d" % number] * 15) + b" = 1" for number in range(900)),
    b"a = " + b"[" * 3900,
    b"a = " + b"[" * 900 + b"]" * 900,
    b"\n".join(b"[[a.b.c.d]]" for _ in range(1900)),
    b"\n".join(b"[[tariff]]\nversion = '%d'" % number for number in range(1200)),
    b"#" * 65_000,
    b"\n" * 65_000,
)
