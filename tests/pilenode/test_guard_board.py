"""The board between guard's threads: what is kept, what is told, and what belongs to the whole cabinet."""

from __future__ import annotations

from pilenode.guard.board import CABINET, Board
from safety.reading import MeterReading, Missing, MissingReason, ProbeReading

NEVER = MissingReason.NEVER_READ


def board() -> Board:
    """Return a board with two ports, probes at the first and in the cabinet, and an inlet meter."""
    return Board([1, 2], [1, CABINET], 0.0, inlet=True)


def test_a_failed_probe_keeps_its_last_value_and_tells_why() -> None:
    """The value ages by itself; the newest failure is shown beside it and gone with the next good reading."""
    made = board()
    made.put_probe(1, ProbeReading(1.0, 25.0))
    made.put_probe(1, Missing(MissingReason.PROBE_OPEN, 2.0))
    port = made.inputs()[1]
    assert port.probe == ProbeReading(1.0, 25.0)
    assert port.probe_error == Missing(MissingReason.PROBE_OPEN, 2.0)
    made.put_probe(1, ProbeReading(3.0, 26.0))
    assert (made.inputs()[1].probe, made.inputs()[1].probe_error) == (ProbeReading(3.0, 26.0), None)


def test_a_probe_that_never_worked_is_missing_for_the_newest_reason() -> None:
    """Nothing old stands in for a value that never was."""
    made = board()
    made.put_probe(1, Missing(MissingReason.PROBE_SHORT, 2.0))
    assert made.inputs()[1].probe == Missing(MissingReason.PROBE_SHORT, 2.0)


def test_what_is_fitted_at_the_cabinet_starts_as_never_read_and_the_rest_as_none() -> None:
    """Fitted and silent is not the same as not fitted."""
    whole = board().whole()
    assert isinstance(whole.probe, Missing)
    assert isinstance(whole.inlet, Missing)
    assert board().inputs()[2].probe is None
    plain = Board([1], [], 0.0).whole()
    assert (plain.probe, plain.inlet) == (None, None)


def test_probe_and_inlet_of_the_cabinet_have_their_own_place() -> None:
    """Number 0 is no port."""
    made = board()
    made.put_probe(CABINET, ProbeReading(1.0, 40.0))
    made.put_probe(CABINET, Missing(MissingReason.PROBE_FAULT, 2.0))
    made.put_meter(CABINET, MeterReading(1.0, 220.0, 9.0, 1900.0))
    assert made.whole().probe == ProbeReading(1.0, 40.0)
    assert made.whole().inlet == MeterReading(1.0, 220.0, 9.0, 1900.0)
    assert sorted(made.inputs()) == [1, 2]


def test_a_sum_that_cannot_be_read_does_not_stand_for_the_present() -> None:
    """An old inlet reading would shed or spare ports by what was; without one the ports' own sum counts."""
    made = board()
    made.put_meter(CABINET, MeterReading(1.0, 220.0, 9.0, 1900.0))
    made.put_meter(CABINET, Missing(MissingReason.TIMEOUT, 2.0))
    assert made.whole().inlet == Missing(MissingReason.TIMEOUT, 2.0)
