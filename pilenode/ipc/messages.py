"""What guard and station say to each other, and what the CLI says to station.

Guard *answers*, it never calls: every message to guard gets exactly one reply, and a peer that wants news asks
for the events after a sequence number. All structs are frozen, forbid unknown fields and are encoded as JSON
inside a length-prefixed frame (``pilenode.ipc.codec``).

Units are in the names. ``*_mwh`` is milliwatt-hours (0.001 Wh): the finest step of any meter in use is 0.1 Wh,
and integers survive every encoder unchanged.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from config.tariff import TariffSchedule
from pilenode.ipc.acts import AnyAct
from pilenode.ipc.wish import Change, Wish

#: Version of the guard protocol. A peer with another major version is refused.
PROTOCOL = 1

#: Python lets ``$`` match before a newline at the end; nobody else does, and no name ends in one.
Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:/-]+(?!\n)$")]
PortNumber = Annotated[int, Meta(ge=1, le=99)]
Words = Annotated[str, Meta(max_length=200)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """Base of all messages."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What ends the session on purpose; guard holds it, so it works with a dead station.

    ``energy_wh`` counts from the register at closing, ``duration_s`` from closing, ``deadline_s`` from the grant: a
    clock time as the station reckons it, free of guard's clock. None = no such limit. ``for_amount``: the energy was
    bought with a sum of money, so its end is "planned_amount"; ``for_hours``: the deadline is the end of the allowed
    hours, so its end is "hours_ended". What is default is not sent: a guard from before these fields, still running
    while station was upgraded, goes on taking grants.
    """

    energy_wh: Annotated[float, Meta(gt=0, le=100_000)] | None = None
    duration_s: Annotated[float, Meta(gt=0, le=43_200)] | None = None
    deadline_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    for_amount: bool = False
    for_hours: bool = False


# -- requests to guard -------------------------------------------------------------------------------------


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """Ask who is there. Any peer may ask."""

    protocol: int = PROTOCOL


class Grant(_Message, frozen=True, kw_only=True, tag="grant"):
    """Allow ``port`` to be closed for ``session`` until ``ttl_s`` from now, within ``plan``."""

    port: PortNumber
    session: Identifier
    ttl_s: Annotated[float, Meta(gt=0, le=3600)]
    plan: Plan = Plan()


class Renew(_Message, frozen=True, kw_only=True, tag="renew"):
    """Extend the lease of a session that guard still holds."""

    port: PortNumber
    session: Identifier
    ttl_s: Annotated[float, Meta(gt=0, le=3600)]


class Amend(_Message, frozen=True, kw_only=True, tag="amend"):
    """Put ``plan`` in the place of the plan of a live session; what it has used up already ends it in the same tick.

    Its ``deadline_s`` counts from the amendment. The lease is not extended, and guard's own limits stay.
    """

    port: PortNumber
    session: Identifier
    plan: Plan


class Release(_Message, frozen=True, kw_only=True, tag="release"):
    """End a session. ``session`` must match: a stop for an older session does not end a newer one."""

    port: PortNumber
    session: Identifier
    reason: Identifier


class Reset(_Message, frozen=True, kw_only=True, tag="reset"):
    """Release a latched fault of a port (or of the cabinet when ``port`` is None). ``by`` is recorded.

    ``repair``: what was repaired; faults of the class "repair" are released with it only.
    """

    port: PortNumber | None
    by: Words
    repair: Words = ""


class RunTest(_Message, frozen=True, kw_only=True, tag="run_test"):
    """Run a periodic test that needs the outputs (``safety.proof.KINDS``). Its result is an event ``tested``."""

    kind: Identifier


class GetSnapshot(_Message, frozen=True, kw_only=True, tag="get_snapshot"):
    """Ask for the present state of every port."""


class GetEvents(_Message, frozen=True, kw_only=True, tag="get_events"):
    """Ask for the events after ``since`` (a sequence number of this boot of guard; 0 = all that are kept)."""

    since: Annotated[int, Meta(ge=0)]
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


GuardRequest = Hello | Grant | Renew | Amend | Release | Reset | RunTest | GetSnapshot | GetEvents

# -- replies of guard --------------------------------------------------------------------------------------


class Welcome(_Message, frozen=True, kw_only=True, tag="welcome"):
    """Answer to Hello. ``guard_boot`` changes with every start of guard."""

    protocol: int
    guard_boot: Identifier
    version: str
    ports: list[PortNumber]


class Done(_Message, frozen=True, kw_only=True, tag="done"):
    """The request was carried out."""


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """The request was refused and nothing changed. ``code`` is in ``safety.catalogue``."""

    code: Identifier
    detail: Words = ""


class PortSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One port as guard sees it now. Measured values are None when missing; ages are seconds."""

    port: PortNumber
    state: str  # name of safety.port.PortStatus
    closed: bool  # relay ordered closed
    session: str | None = None  # present session, or the last one while state is "ended" or "tripped"
    reason: str | None = None  # why the last session ended, or what is latched
    findings: list[str] = []  # codes that stand right now, whether or not they latch
    voltage_v: float | None = None
    current_a: float | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    reading_age_s: float | None = None
    meter_error: str | None = None  # MissingReason of the newest failed poll, None when the newest poll worked
    probe_error: str | None = None  # the same for the temperature probe
    register_mwh: int | None = None  # meter's own counter now
    start_register_mwh: int | None = None  # counter at closing of the present or last session
    closed_for_s: float | None = None  # how long the present or last session has had / had power
    lease_left_s: float | None = None
    relay_closings: int = 0  # since the relay was counted first, restarts included
    relay_openings: int = 0
    relay_openings_loaded: int = 0  # among relay_openings
    relay_closings_loaded: int = 0  # among relay_closings, by the first reading after them
    relay_life_used: float = 0.0  # share of the contact's rated life (gpio.relay_life), 1 = replace


class UnitCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of the questions to one Modbus address since guard's start; ``failed`` by reason, none with 0."""

    unit: int
    requests: int
    discarded: int = 0  # good-looking replies thrown away after a failure
    failed: dict[str, int] = {}  # by safety.reading.MissingReason


class LineSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One RS-485 line. ``trouble`` is what the system said when it lost the device, empty while it is there."""

    name: str
    device: str
    trouble: str
    echoes: bool  # the adapter hears what it sends
    units: list[UnitCounts]


class Snapshot(_Message, frozen=True, kw_only=True, tag="snapshot"):
    """Answer to GetSnapshot. ``last_event`` is the newest sequence number."""

    guard_boot: Identifier
    last_event: int
    uptime_s: float
    contactor: bool
    cabinet_faults: list[str]
    ports: list[PortSnapshot]
    ticks: int = 0
    tick_late_max_s: float = 0.0  # worst lateness of a tick since start
    tick_late_p50_s: float = 0.0
    tick_late_p99_s: float = 0.0
    tick_late_p999_s: float = 0.0
    ticks_unsound: int = 0  # ticks without heartbeat and watchdog: wrong sequence or rate
    contactor_feedback: bool | None = None  # auxiliary contact says closed; None: not wired
    cabinet_temperature_c: float | None = None
    inlet_power_w: float | None = None
    inlet_current_a: float | None = None
    inlet_register_mwh: int | None = None
    test_running: str | None = None
    dropped_messages: int = 0  # malformed, oversized or unauthorised requests since start
    contactor_closings: int = 0  # since the contactor was counted first, restarts included
    contactor_openings: int = 0
    contactor_openings_loaded: int = 0  # among contactor_openings
    contactor_life_used: float = 0.0  # share of its rated life (gpio.contactor_life), 1 = replace
    light_failures: int = 0  # lights and buzzer that could not be claimed or driven, since start
    lines: list[LineSnapshot] = []


class GuardEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that happened. ``seq`` counts from 1 within one ``guard_boot`` without gaps.

    ``kind`` is one of: ``closed`` (relay closed), ``opened`` (relay opened), ``ended`` (session over;
    ``code`` is the reason), ``tripped`` (fault latched), ``cleared`` (latch released or finding gone),
    ``finding`` (something stands that does not latch), ``tested`` (a periodic test has ended; ``code`` is its kind).
    """

    seq: int
    age_s: float  # how long ago, at the moment of the answer
    kind: str
    port: int | None = None
    session: str | None = None
    code: str | None = None
    detail: str = ""
    register_mwh: int | None = None
    start_register_mwh: int | None = None
    closed_for_s: float | None = None
    ok: bool | None = None  # of a periodic test


class Events(_Message, frozen=True, kw_only=True, tag="events"):
    """Answer to GetEvents. ``first_kept`` tells a late asker whether the ring has dropped something."""

    guard_boot: Identifier
    first_kept: int
    events: list[GuardEvent]


GuardReply = Welcome | Done | Refused | Snapshot | Events

# -- station's control socket (CLI) ------------------------------------------------------------------------


class Status(_Message, frozen=True, kw_only=True, tag="status"):
    """Ask for everything a technician wants to see at a glance."""


class Start(_Message, frozen=True, kw_only=True, tag="start"):
    """Start a session. The same ``order`` again is the same session, not a second one."""

    port: PortNumber
    order: Identifier
    plan: Wish = Wish()
    by: Words = ""


class Stop(_Message, frozen=True, kw_only=True, tag="stop"):
    """Stop ``session`` on ``port``, or what ``order`` has begun or waits for. One of both must be given."""

    port: PortNumber
    session: Identifier | None = None
    order: Identifier | None = None
    by: Words = ""


class Modify(_Message, frozen=True, kw_only=True, tag="modify"):
    """Change the plan of ``session`` on ``port``; what it has used up already ends it at once."""

    port: PortNumber
    session: Identifier
    change: Change
    by: Words = ""


class Sessions(_Message, frozen=True, kw_only=True, tag="sessions"):
    """Ask for the newest sessions, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20


class ResetFault(_Message, frozen=True, kw_only=True, tag="reset_fault"):
    """Ask station to release a latch at guard and to record who did it, and what was repaired."""

    port: PortNumber | None
    by: Words
    repair: Words = ""


class OrderTest(_Message, frozen=True, kw_only=True, tag="order_test"):
    """Run a periodic test now. Done: it has begun, or is over; its result is the next one in the status."""

    kind: Identifier
    by: Words = ""


class RecordTest(_Message, frozen=True, kw_only=True, tag="record_test"):
    """Record a periodic test that a person has done."""

    kind: Identifier
    ok: bool
    by: Words
    detail: Words = ""


class Perform(_Message, frozen=True, kw_only=True, tag="perform"):
    """Carry out an administrative act."""

    act: AnyAct
    by: Words = ""


class Facts(_Message, frozen=True, kw_only=True, tag="facts"):
    """Ask for facts of some kinds above ``after``, oldest first: what reports, ledgers and re-pricing are made of."""

    kinds: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(min_length=1, max_length=64)]
    after: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class GetTariff(_Message, frozen=True, kw_only=True, tag="get_tariff"):
    """Ask for the prices that a session would start under now."""


class ForgetConfig(_Message, frozen=True, kw_only=True, tag="forget_config"):
    """Go back to the cabinet's own file, without what was desired from afar, as soon as all ports are idle."""

    by: Words = ""


ControlRequest = (
    Status
    | Start
    | Stop
    | Modify
    | Sessions
    | ResetFault
    | OrderTest
    | RecordTest
    | Perform
    | Facts
    | GetTariff
    | ForgetConfig
)


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session as the journal tells it. Fees are in fen; energy in Wh; times in ms since the epoch."""

    session: str
    order: str
    port: int
    source: str  # "cli", "upstream", "card"
    state: str  # "starting", "running", "paused", "ended"
    started_wall_ms: int
    clock: str  # quality of the wall clock: "none", "rtc", "ntp", "server"
    plan: Wish = Wish()
    ended_wall_ms: int | None = None
    ended_clock: str | None = None
    reason: str | None = None
    duration_s: int | None = None
    start_register_mwh: int | None = None
    end_register_mwh: int | None = None
    energy_wh: int | None = None
    energy_flags: list[str] = []  # why the energy is not simply the difference of two registers
    electricity_fen: int | None = None
    service_fen: int | None = None
    charged_fen: int | None = None  # what is to be paid, after free sessions and amounts paid in advance
    refund_fen: int | None = None
    legs: int = 1
    pause_ms: int | None = None  # without power between its legs
    tariff_version: str | None = None
    acknowledged: bool = False  # the backend has confirmed the end of this session


class PeriodicTest(msgspec.Struct, frozen=True, kw_only=True):
    """One periodic test: whether it is due, and how it went last. ``last_seq`` is the fact that tells it.

    ``waits``: code of what keeps a test from running that is due. ``last_clock``: quality of the clock of that time.
    """

    kind: str  # "dead_man", "relays", "probes", "meters", "rcd"
    fitted: bool  # the cabinet has the parts that it needs
    due: bool
    running: bool = False
    waits: str | None = None
    last_seq: int | None = None
    last_wall_ms: int | None = None
    last_clock: str | None = None
    last_ok: bool | None = None
    last_detail: str = ""
    last_by: str = ""


class StartReply(_Message, frozen=True, kw_only=True, tag="started"):
    """The session exists; ``repeated`` when the order was known already."""

    session: Identifier
    port: PortNumber
    repeated: bool = False


class QueuedStart(msgspec.Struct, frozen=True, kw_only=True):
    """A start that waits for its turn. ``position`` counts from 1."""

    order: str
    port: int
    position: int
    waited_s: int


class LoadShown(msgspec.Struct, frozen=True, kw_only=True):
    """Orderly charging now: the budget in force (mA) and who waits."""

    budget_ma: int
    queue: list[QueuedStart] = []


class LockShown(msgspec.Struct, frozen=True, kw_only=True):
    """One lock that is not over. ``port`` None: the whole cabinet; times are ms since the epoch, None: open.

    ``in_force`` False: it begins later. ``time_known`` False: the clock cannot be trusted, so it holds in any case.
    """

    lock: str
    port: int | None
    kind: str  # "lockout", "maintenance"
    authority: str
    reason: str
    from_ms: int | None
    until_ms: int | None
    in_force: bool
    time_known: bool


class LedgerShown(msgspec.Struct, frozen=True, kw_only=True):
    """What of the ledger needs somebody: how many entries are not closed, and of these how many are too late.

    ``undated``: entries of which nobody can say whether they are late, for want of a trusted clock now or then.
    ``worst_*`` tell the entry that is late the longest.
    """

    open: int = 0
    in_progress: int = 0
    overdue: int = 0
    undated: int = 0
    worst_entry: str | None = None
    worst_code: str | None = None
    worst_port: int | None = None
    worst_due_ms: int | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cabinet stands and by what terms its ledger is kept (configuration), for reports."""

    site: str = ""
    district: str = ""
    community: str = ""
    building: str = ""
    site_class: str = ""
    operator: str = ""
    timezone: str
    serious_days: int
    normal_days: int
    responsible: str = ""
    contingency: str = ""
    ports: list[int] = []


class ClockStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the station believes of the time. Times in ms since the epoch, ages and differences in ms.

    ``system_ahead_ms``: the system's own clock minus what is believed. The anchor is the newest of this boot
    (``pilenode.upstream.facts_time``). ``not_before_ms``: the newest trusted time of before this process started.
    """

    quality: str  # "none", "rtc", "server", "ntp"
    wall_ms: int
    boottime_ms: int
    uncertainty_ms: int | None  # None: not trusted
    system_quality: str
    system_ahead_ms: int
    anchor_age_ms: int | None = None
    anchor_wall_ms: int | None = None
    anchor_quality: str | None = None
    anchor_step_ms: int | None = None
    not_before_ms: int | None = None

    @property
    def known_ms(self) -> int | None:
        """Return what time it is, None where no clock can be trusted."""
        return None if self.quality == "none" else self.wall_ms


class ReaderReport(msgspec.Struct, frozen=True, kw_only=True):
    """One card reader. ``code`` is its trouble (``reader_...``), None while it is ready; counts are since start.

    ``outcomes``: what cards led to, by "started", "ended", "learned", "repeated", or the code of a refusal; the last
    one of them but "repeated" stands in ``last_outcome``, with the hash of its card and how long ago it was.
    """

    reader: str
    state: str  # drivers.card_contracts.ReaderState
    code: str | None = None
    detail: str = ""
    counters: dict[str, int] = {}  # frames as drivers.card_reader counts them
    outcomes: dict[str, int] = {}
    last_outcome: str | None = None
    last_card: str | None = None
    last_port: int | None = None
    last_age_s: float | None = None


class CardsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a cabinet knows of cards. ``trouble`` is a code of the catalogue: no card is taken while it stands."""

    enabled: bool
    key_id: str | None  # name of the key of the hashes
    trouble: str | None = None  # "card_no_key", "card_list_damaged"
    detail: str = ""
    list_version: int | None = None  # None: no list
    list_valid_until_ms: int | None = None
    list_cards: int = 0
    list_denied: int = 0
    denied: int = 0  # one by one
    learned: int = 0
    staged: str = ""  # how far a list on its way has come
    debt_fen: int = 0  # of all cards, not known to the backend


class ConfigShown(msgspec.Struct, frozen=True, kw_only=True):
    """Where desired configuration stands, as versions; 0 is the cabinet's own file alone.

    ``applied`` is what counts for good, ``in_force`` what this process runs with. ``staged`` waits for idle ports;
    ``forget``: the cabinet's own file waits for them. ``refused`` does not count, for ``code``.
    """

    applied: int = 0
    in_force: int = 0
    staged: int | None = None
    on_trial: int | None = None
    forget: bool = False
    refused: int | None = None
    code: str = ""
    detail: str = ""


class StatusReply(_Message, frozen=True, kw_only=True, tag="status_reply"):
    """What ``pilenode status`` shows."""

    node: str
    version: str
    guard: Snapshot | None  # None: guard does not answer
    sessions: list[SessionRecord]  # those not ended
    upstream_connected: bool
    upstream_url: str | None
    upstream_protocol: str | None  # "mqtt5", "mqtt3.1.1" or None
    upstream_problem: str | None = None  # code: why the last connection did not come about
    upstream_detail: str = ""  # what the system said about it
    outbox: int  # facts not yet acknowledged by the backend
    log_id: str
    last_seq: int
    acked_seq: int
    journal_ok: bool
    journal_problem: str | None = None
    dropped: dict[str, int] = {}  # malformed input per source since start
    tests: list[PeriodicTest] = []
    timezone: str = "Asia/Shanghai"  # in which the cabinet reckons its days
    load: LoadShown | None = None
    locks: list[LockShown] = []
    ledger: LedgerShown | None = None  # None: not read yet
    place: Place | None = None
    clock: ClockStatus | None = None
    readers: list[ReaderReport] = []
    cards: CardsReport | None = None
    config: ConfigShown | None = None


class SessionsReply(_Message, frozen=True, kw_only=True, tag="sessions_reply"):
    """Sessions, newest first."""

    sessions: list[SessionRecord]


class StoredFact(msgspec.Struct, frozen=True, kw_only=True):
    """One fact as the journal holds it (``pilenode.upstream.facts.Fact``); ``body`` is its JSON."""

    seq: int
    boot: str
    boottime_ms: int
    wall_ms: int
    clock: str
    kind: str
    session: str | None
    body: msgspec.Raw
    hash: str


class FactsReply(_Message, frozen=True, kw_only=True, tag="facts_reply"):
    """Facts, oldest first; ask again after the last one until there are none. ``last_seq``: the newest of the log."""

    log_id: str
    last_seq: int
    facts: list[StoredFact]


class TariffReply(_Message, frozen=True, kw_only=True, tag="tariff_reply"):
    """The prices in force. ``source``: "config", or "cli" or "upstream" for who set them, ``by`` and when."""

    tariff: TariffSchedule
    source: str
    by: str = ""
    set_wall_ms: int | None = None


ControlReply = StatusReply | StartReply | SessionsReply | FactsReply | TariffReply | Done | Refused
