"""Promises about setting prices: whole or not at all, never backwards, on record, and the same after a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from config.tariff import Period, TariffSchedule, TariffVersion
from pilenode.ipc.acts import Act, AnyAct, LiftLock, SetTariff
from pilenode.ipc.codec import MAX_REQUEST
from pilenode.ipc.messages import Done, Perform, Refused
from pilenode.station.acts import Acts
from pilenode.station.desk import Who
from pilenode.station.journal import Journal
from pilenode.station.tariff_desk import TariffDesk
from pilenode.station.wallclock import ClockQuality, Stamp
from pilenode.upstream.contract import MAX_COMMAND_BYTES, Command
from pilenode.upstream.facts import ActRefused, FactKind
from pilenode.upstream.facts_money import TariffSet

if TYPE_CHECKING:
    from pathlib import Path

WHO = Who("upstream", "c-1")
NOW = Stamp("b", 1, 2, ClockQuality.NTP)


def schedule(number: int, *, price: int = 520, end: int = 48, start: int = 0) -> TariffSchedule:
    """Return flat prices with a number."""
    periods = [Period(start, end, price, 300)]
    return TariffSchedule(
        schedule=number, timezone="Asia/Shanghai", versions=[TariffVersion(version="v", periods=periods)]
    )


CONFIGURED = schedule(0)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (schedule(1), None),
        (schedule(2, price=0), None),
        (CONFIGURED, None),  # nothing changes
        (schedule(0, price=1), "tariff_older"),
        (schedule(1, end=47), "tariff_gap"),
        (schedule(1, start=5, end=5), "tariff_order"),
        (schedule(1, price=-1), "tariff_negative"),
        (msgspec.structs.replace(schedule(1), versions=[]), "tariff_gap"),
        (msgspec.structs.replace(schedule(1), timezone="Mars/Base"), "unknown_zone"),
    ],
)
def test_prices_are_taken_whole_or_refused_with_a_code(asked: TariffSchedule, code: str | None) -> None:
    """What is refused changes nothing; judging alone changes nothing either."""
    desk = TariffDesk(CONFIGURED)
    outcome = desk.judge(SetTariff(tariff=asked), WHO, NOW)
    assert (outcome.code if isinstance(outcome, Refused) else None) == code
    assert desk.schedule == CONFIGURED
    assert isinstance(desk.judge(LiftLock(lock="l", authority="a", reason="r"), WHO, NOW), Refused)


def test_a_refusal_is_on_record_and_a_restart_ends_in_the_same_prices(tmp_path: Path) -> None:
    """Number 5 is set, the same again is done, another 5 and a 4 are refused; a new desk reads the log."""

    async def story() -> None:
        journal = Journal(tmp_path / "j.db")
        await journal.recover()
        desk = TariffDesk(CONFIGURED)
        acts = Acts(journal, [desk])

        async def put(asked: TariffSchedule) -> Done | Refused:
            return await acts.perform(SetTariff(tariff=asked), WHO)

        assert await put(schedule(5)) == Done()
        assert await put(schedule(5)) == Done()
        for other in (schedule(5, price=1), schedule(4)):
            refused = await put(other)
            assert isinstance(refused, Refused)
            assert refused.code == "tariff_older"
        refusals = await journal.facts([FactKind.ACT_REFUSED], 0, 10)
        assert [msgspec.json.decode(fact.body, type=ActRefused).act for fact in refusals] == ["set_tariff"] * 2
        (fact,) = await journal.facts([FactKind.TARIFF_SET], 0, 10)
        body = msgspec.json.decode(fact.body, type=TariffSet)
        assert (body.tariff, body.source, body.by) == (schedule(5), "upstream", "c-1")
        again = TariffDesk(CONFIGURED)
        assert await Acts(journal, [again]).catch_up()
        assert again.schedule == desk.schedule == schedule(5)
        assert (again.reply().source, again.reply().by, again.reply().set_wall_ms) == ("upstream", "c-1", fact.wall_ms)
        await journal.close()

    asyncio.run(story())


def test_eight_versions_of_48_prices_fit_a_command_and_the_socket() -> None:
    """The largest schedule that is promised, with prices of three digits."""
    versions = [
        TariffVersion(
            version=f"2026-residential-{number}",
            valid_from_ms=1_767_225_600_000 + number,
            periods=[Period(slot, slot + 1, 300 + slot, 301 + slot) for slot in range(48)],
        )
        for number in range(8)
    ]
    act = SetTariff(tariff=msgspec.structs.replace(CONFIGURED, schedule=99, versions=versions))
    command = Command(id="c" * 64, op="act", act=act, iat=1_767_225_600_000, exp=1_767_225_600_000)
    assert len(msgspec.json.encode(command)) < MAX_COMMAND_BYTES
    assert len(msgspec.json.encode(Perform(act=act, by="b" * 200))) < MAX_REQUEST


@pytest.mark.parametrize(
    "payload",
    [
        b'{"act":"set_tariff"}',
        b'{"act":"set_tariff","tariff":{"schedule":1,"versions":[]}}',
        b'{"act":"set_tariff","tariff":{"schedule":1,"timezone":"UTC","versions":[],"more":1}}',
        b'{"act":"set_tariff","tariff":{"schedule":1,"timezone":"UTC","versions":[{"version":"v","periods":[[0,48,1.5]]}]}}',
        b'{"act":"set_tariff","tariff":{"schedule":1,"timezone":"UTC","versions":[{"version":"v","periods":[[0,49,1]]}]}}',
        b'{"act":"set_tariff","tariff":{"schedule":1,"timezone":"UTC","versions":[{"version":"v","periods":[[0,48,1,1,1]]}]}}',
    ],
)
def test_a_schedule_that_is_none_does_not_decode(payload: bytes) -> None:
    """A missing or unknown key, a price with a point, a slot that no day has: malformed."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=AnyAct)
    assert issubclass(SetTariff, Act)
