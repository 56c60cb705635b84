"""The whole configuration as types.

Ranges, units and meanings stand here once; the loader checks them, and the reference page and the error messages
are made from them.

Protective limits (``Limits``) and convenience limits (``Completion``) are separate tables with separate rights:
a remote party may one day tune the second, never loosen the first.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from config.schema_base import Baud, Name, Path, Pin
from config.schema_cards import Cards
from config.schema_journal import Journal
from config.schema_load import Load
from config.schema_probe import Adc, OneWire, Probe, ProbeModule
from config.schema_reader import Reader
from config.schema_session import Session
from config.schema_site import Ledger, Site
from config.schema_tariff import Tariff
from config.tariff import ZoneName

__all__ = ["Baud", "Name", "Path", "Pin"]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: immutable, and an unknown key is an error."""


class Node(_Table, frozen=True, kw_only=True):
    """Who this cabinet is."""

    id: Annotated[Name, Meta(description="Name of this cabinet; the <node> of every MQTT topic")]
    site: Annotated[str, Meta(max_length=200, description="Free text: where it stands")] = ""
    language: Annotated[Literal["zh", "en"], Meta(description="Language of operator texts")] = "zh"
    timezone: Annotated[ZoneName, Meta(description="Zone in which days and prices are reckoned (IANA name)")] = (
        "Asia/Shanghai"
    )


class Guard(_Table, frozen=True, kw_only=True):
    """The cutoff process."""

    socket: Annotated[Path, Meta(description="Unix socket on which guard answers")] = "/run/pilenode-guard/guard.sock"
    state_dir: Annotated[Path, Meta(description="Directory of latches and black box")] = "/var/lib/pilenode-guard"
    client_group: Annotated[
        str,
        Meta(
            max_length=32,
            description="Group whose members may grant and release; empty: only guard's own user",
        ),
    ] = ""


class Station(_Table, frozen=True, kw_only=True):
    """The session process."""

    data_dir: Annotated[Path, Meta(description="Directory of the journal")] = "/var/lib/pilenode"
    control_socket: Annotated[Path, Meta(description="Unix socket of the technician's CLI")] = (
        "/run/pilenode/control.sock"
    )
    control_group: Annotated[
        str,
        Meta(max_length=32, description="Group whose members may start, stop and reset; empty: only own user"),
    ] = ""
    lease_s: Annotated[
        float,
        Meta(ge=1, le=60, description="Lease asked of guard, seconds: a dead station ends sessions after this"),
    ] = 60.0
    poll_s: Annotated[float, Meta(ge=0.05, le=5, description="How often guard is asked for news, seconds")] = 0.25
    checkpoint_s: Annotated[
        float,
        Meta(ge=1, le=3600, description="How often the reading of a running session is made durable, seconds"),
    ] = 60.0


class Gpio(_Table, frozen=True, kw_only=True):
    """Outputs of the cabinet."""

    factory: Annotated[
        str,
        Meta(
            max_length=100,
            pattern=r"^(lgpio|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
            description='"lgpio", or the import path "module:Class" of a gpiozero pin factory; there is no fall-back',
        ),
    ] = "lgpio"
    contactor_pin: Annotated[
        Pin | None, Meta(description="Master contactor, BCM number; leave out where there is none")
    ] = None
    contactor_active: Annotated[Literal["high", "low"], Meta(description="Level that closes the contactor")] = "high"
    contactor_feedback_pin: Annotated[
        Pin | None, Meta(description="Auxiliary contact of the master contactor, BCM number; leave out where not wired")
    ] = None
    contactor_feedback: Annotated[
        Literal["normally_open", "normally_closed"],
        Meta(description="Auxiliary contact: normally_open closes with the contactor; it connects the line to ground"),
    ] = "normally_open"
    heartbeat_pin: Annotated[Pin | None, Meta(description="Dead-man output, BCM number; a 10 Hz square wave")] = None
    status_led_pin: Annotated[Pin | None, Meta(description="Status light of the whole cabinet, BCM number")] = None
    status_led_active: Annotated[Literal["high", "low"], Meta(description="Level that lights it")] = "high"
    buzzer_pin: Annotated[Pin | None, Meta(description="Buzzer, BCM number; sounds by itself when switched on")] = None
    buzzer_active: Annotated[Literal["high", "low"], Meta(description="Level that lets it sound")] = "high"
    buzzer_silent: Annotated[bool, Meta(description="Keep the buzzer silent, whatever happens")] = False
    relay_life: Annotated[
        int,
        Meta(ge=1000, le=10_000_000, description="Operations under load that a port relay is rated for (data sheet)"),
    ] = 100_000
    contactor_life: Annotated[
        int,
        Meta(ge=1000, le=10_000_000, description="The same of the master contactor"),
    ] = 100_000


class Bus(_Table, frozen=True, kw_only=True):
    """One RS-485 line."""

    name: Annotated[Name, Meta(description="By which ports refer to this line")]
    device: Annotated[Path, Meta(description="tty; prefer /dev/serial/by-id/… which survives renumbering")]
    baud: Annotated[Baud, Meta(description="Speed of every meter on this line, bits per second")] = 9600
    parity: Annotated[Literal["N", "E", "O"], Meta(description="Parity: none, even or odd")] = "N"
    stopbits: Annotated[Literal[1, 2], Meta(description="Stop bits")] = 1
    turnaround_ms: Annotated[
        float,
        Meta(ge=5, le=2000, description="Longest time a meter here takes to begin its reply, milliseconds"),
    ] = 100.0


class Meter(_Table, frozen=True, kw_only=True):
    """The meter channel of a port."""

    model: Annotated[Name, Meta(description="Name of a meter profile; pilenode meter list shows them all")]
    unit: Annotated[int, Meta(ge=1, le=247, description="Modbus address")]
    channel: Annotated[
        int, Meta(ge=1, le=8, description="Channel of a meter with several; each serves a port of its own")
    ] = 1
    bus: Annotated[Name, Meta(description="Name of a [[bus]]")]
    position: Annotated[
        Literal["before_relay", "behind_relay"],
        Meta(description="behind_relay: the meter shows no voltage while the relay is open"),
    ] = "before_relay"


class Relay(_Table, frozen=True, kw_only=True):
    """The relay of a port."""

    pin: Pin
    active: Annotated[Literal["high", "low"], Meta(description="Level that closes the relay")] = "high"


class Led(_Table, frozen=True, kw_only=True):
    """The status light of a port: one line, or two (a green and a red one, say)."""

    pin: Annotated[Pin, Meta(description="Light that shows the state; shows faults too where there is no other")]
    fault_pin: Annotated[Pin | None, Meta(description="Second light, for what keeps the port from charging")] = None
    active: Annotated[Literal["high", "low"], Meta(description="Level that lights them")] = "high"


class Port(_Table, frozen=True, kw_only=True):
    """One socket."""

    number: Annotated[int, Meta(ge=1, le=99, description="What is printed beside the socket")]
    meter: Meter
    relay: Relay
    probe: Probe | None = None
    led: Led | None = None
    current_limit_a: (
        Annotated[
            float,
            Meta(gt=0, le=16, description="Overrides limits.current_limit_a for this port, downwards only"),
        ]
        | None
    ) = None
    power_limit_w: (
        Annotated[
            float,
            Meta(ge=50, le=3500, description="Overrides limits.power_limit_w for this port, downwards only"),
        ]
        | None
    ) = None


class Input(_Table, frozen=True, kw_only=True):
    """An external contact that cuts the whole cabinet, or the ports that it names."""

    name: Annotated[Name, Meta(description="By which messages name this contact")]
    kind: Annotated[
        Literal["smoke", "fire", "estop", "rcd", "flood", "door"],
        Meta(description="What its alarm means: smoke detector, fire panel, emergency stop, tripped RCD, water, door"),
    ]
    pin: Pin
    ports: Annotated[
        list[Annotated[int, Meta(ge=1, le=99)]],
        Meta(max_length=40, description="Ports that it concerns, for an RCD of some ports; empty: the whole cabinet"),
    ] = []
    policy: Annotated[
        Literal["tell", "inhibit", "cut"],
        Meta(description="What an open door does: only tell, keep new sessions away, or cut; all other kinds cut"),
    ] = "tell"
    contact: Annotated[
        Literal["normally_closed", "normally_open"],
        Meta(description="normally_closed: a cut wire alarms too; prefer it"),
    ] = "normally_closed"
    pull: Annotated[
        Literal["up", "down"], Meta(description="Bias of the line; the contact connects to the other rail")
    ] = "up"
    debounce_s: Annotated[float, Meta(ge=0, le=0.5, description="An alarm must stand this long, seconds")] = 0.1


class Inlet(_Table, frozen=True, kw_only=True):
    """The meter of the whole cabinet, in front of all ports."""

    model: Annotated[Name, Meta(description="Name of a meter profile; pilenode meter list shows them all")]
    unit: Annotated[int, Meta(ge=1, le=247, description="Modbus address")]
    channel: Annotated[int, Meta(ge=1, le=8, description="Channel of a meter with several")] = 1
    bus: Annotated[Name, Meta(description="Name of a [[bus]]")]


class Meters(_Table, frozen=True, kw_only=True):
    """Where meter profiles of the user's own are."""

    directory: Annotated[
        Path, Meta(description="Directory of <model>.toml files; none may have the name of a shipped model")
    ] = "/etc/pilenode/meters.d"


class Cabinet(_Table, frozen=True, kw_only=True):
    """Protective limits and sensors of the cabinet as a whole."""

    current_limit_a: Annotated[
        float, Meta(gt=0, le=125, description="What the installer's supply gives to all ports together, A")
    ] = 10.0
    shed_ratio: Annotated[float, Meta(gt=1, le=1.3, description="Ports are shed above this many times the limit")] = 1.1
    shed_s: Annotated[float, Meta(ge=0.5, le=10, description="That excess must last this long, seconds")] = 2.0
    start_reserve_a: Annotated[
        float, Meta(ge=0, le=16, description="Kept free for a charger that has just started, A")
    ] = 1.0
    probe: Annotated[Probe | None, Meta(description="Temperature of the air inside the cabinet")] = None
    temperature_clear_c: Annotated[float, Meta(ge=30, le=60, description="Usable again below, °C")] = 50.0
    temperature_warn_c: Annotated[float, Meta(ge=35, le=65, description="Warning, °C")] = 55.0
    temperature_inhibit_c: Annotated[float, Meta(ge=40, le=70, description="No new session above, °C")] = 60.0
    temperature_trip_c: Annotated[float, Meta(ge=45, le=80, description="Cut everything and latch, °C")] = 70.0
    inlet: Annotated[Inlet | None, Meta(description="Meter in front of all ports; leave out where there is none")] = (
        None
    )


class Promise(_Table, frozen=True, kw_only=True):
    """The longest time from a hazard to an open relay that this cabinet is allowed to need."""

    cut_s: Annotated[
        float, Meta(ge=0.5, le=5, description="A configuration that computes to more is refused, seconds")
    ] = 5.0
    dead_meters: Annotated[
        int, Meta(ge=0, le=8, description="Meters on each bus that may be dead while the promise holds")
    ] = 2
    relay_release_ms: Annotated[
        float, Meta(ge=1, le=500, description="Release time of a port relay (data sheet), milliseconds")
    ] = 20.0
    contactor_release_ms: Annotated[
        float, Meta(ge=1, le=500, description="Release time of the master contactor (data sheet), milliseconds")
    ] = 100.0


class Tests(_Table, frozen=True, kw_only=True):
    """How often periodic tests are due, in days; those that need no person run when all ports are idle."""

    dead_man_days: Annotated[float, Meta(gt=0, le=31, description="Heartbeat stopped, the contactor must drop")] = 1.0
    relays_days: Annotated[float, Meta(gt=0, le=31, description="Contactor closed, no socket may be live")] = 1.0
    probes_days: Annotated[float, Meta(gt=0, le=31, description="Idle probes agree with each other")] = 7.0
    meters_days: Annotated[float, Meta(gt=0, le=31, description="Sum of the ports against the inlet meter")] = 1.0
    rcd_days: Annotated[float, Meta(gt=0, le=366, description="Reminder: press the test button of the RCD")] = 30.0


class Limits(_Table, frozen=True, kw_only=True):
    """Protective limits. They latch; the ranges are the factory bounds."""

    current_limit_a: Annotated[float, Meta(gt=0, le=16, description="Port current, A")] = 6.0
    power_limit_w: Annotated[float, Meta(ge=50, le=3500, description="Port power, W")] = 1000.0
    over_current_slow_ratio: Annotated[float, Meta(gt=1, le=1.3, description="Slow stage, times the limit")] = 1.1
    over_current_slow_s: Annotated[
        float, Meta(ge=0.5, le=10, description="Slow stage must last this long, seconds")
    ] = 5.0
    over_current_fast_ratio: Annotated[float, Meta(gt=1, le=2, description="Fast stage, times the limit")] = 1.5
    voltage_high_v: Annotated[float, Meta(ge=240, le=280, description="Over-voltage above, V")] = 260.0
    voltage_low_v: Annotated[float, Meta(ge=100, le=210, description="Under-voltage below, V")] = 176.0
    voltage_s: Annotated[
        float, Meta(ge=1, le=30, description="Over- or under-voltage must last this long, seconds")
    ] = 5.0
    temperature_clear_c: Annotated[float, Meta(ge=30, le=70, description="Warm port usable again below, °C")] = 55.0
    temperature_warn_c: Annotated[float, Meta(ge=40, le=80, description="Warning, °C")] = 65.0
    temperature_inhibit_c: Annotated[float, Meta(ge=45, le=85, description="No new session above, °C")] = 70.0
    temperature_trip_c: Annotated[float, Meta(ge=50, le=90, description="Cut and latch, °C")] = 80.0
    temperature_trip_s: Annotated[
        float, Meta(ge=0, le=30, description="Trip temperature must last this long, seconds")
    ] = 10.0
    temperature_rise_k_per_min: Annotated[
        float, Meta(ge=2, le=30, description="A socket that warms faster than this under load is cut, K per minute")
    ] = 10.0
    temperature_rise_s: Annotated[float, Meta(ge=20, le=300, description="The rise must last this long, seconds")] = (
        60.0
    )
    meter_max_age_s: Annotated[
        float, Meta(ge=0.5, le=10, description="A reading older than this opens the port, seconds")
    ] = 3.0
    probe_max_age_s: Annotated[
        float, Meta(ge=5, le=120, description="A probe silent for longer is a probe fault, seconds")
    ] = 60.0
    meter_stuck_s: Annotated[
        float, Meta(ge=30, le=300, description="Identical readings for this long are a warning, seconds")
    ] = 60.0
    meter_frozen_s: Annotated[
        float, Meta(ge=60, le=900, description="Identical readings for this long cut and latch, seconds")
    ] = 300.0
    weld_current_a: Annotated[
        float, Meta(ge=0.02, le=0.5, description="Current through an open relay that means a weld, A")
    ] = 0.05
    weld_settle_s: Annotated[
        float, Meta(ge=0.5, le=10, description="Readings count for the weld test this long after opening, seconds")
    ] = 2.0
    close_stagger_s: Annotated[float, Meta(ge=0.05, le=5, description="Pause between two closings, seconds")] = 0.2
    contactor_settle_s: Annotated[
        float, Meta(ge=0.05, le=2, description="Contactor before the first relay, seconds")
    ] = 0.2
    contactor_hold_s: Annotated[float, Meta(ge=0.5, le=600, description="Contactor after the last relay, seconds")] = (
        5.0
    )


class Completion(_Table, frozen=True, kw_only=True):
    """What ends a session normally. Times are seconds; ``time_scale`` divides every one of them.

    Only durations scale; watts and shares do not. The shipped ``demo`` profile uses a scale above 1 for a rig
    that replays curves faster than life; a real cabinet keeps 1.
    """

    time_scale: Annotated[
        float, Meta(ge=1, le=2000, description="Divides every duration of this table (1 = real life)")
    ] = 1.0
    max_duration_s: Annotated[
        float, Meta(ge=60, le=43_200, description="Hard end of a session, seconds (never over 12 h)")
    ] = 36_000.0
    no_load_w: Annotated[float, Meta(ge=0.1, le=10, description="At or below this nothing is plugged in, W")] = 0.6


class Upstream(_Table, frozen=True, kw_only=True):
    """Where facts are sent."""

    url: Annotated[
        str,
        Meta(
            max_length=200,
            pattern=r"^mqtts?://[^/\s@]+$",
            description="mqtt://host:port or mqtts://host:port",
        ),
    ]
    username: Annotated[str, Meta(max_length=100, description="Empty: no user name is sent")] = ""
    password_file: Annotated[str, Meta(max_length=255, description="File that holds the password, one line")] = ""
    ca_file: Annotated[
        str, Meta(max_length=255, description="Authority that signed the broker's certificate; empty: the system's")
    ] = ""
    certificate_file: Annotated[str, Meta(max_length=255, description="This cabinet's own certificate")] = ""
    key_file: Annotated[str, Meta(max_length=255, description="Key of that certificate")] = ""
    identity_dir: Annotated[
        str,
        Meta(
            max_length=255,
            description="Directory of a key made here and its certificates (pilenode identity); replaces the two files",
        ),
    ] = ""
    operations_key_file: Annotated[
        str,
        Meta(
            max_length=255,
            description="Public Ed25519 keys; with it, every command but a stop must be signed by one of them",
        ),
    ] = ""
    retry_base_s: Annotated[
        float, Meta(ge=0.1, le=60, description="First pause before a reconnect, seconds (full jitter)")
    ] = 2.0
    retry_cap_s: Annotated[float, Meta(ge=1, le=3600, description="Longest pause before a reconnect, seconds")] = 900.0
    ack_timeout_s: Annotated[
        float, Meta(ge=1, le=600, description="Send again when no acknowledgement came, seconds")
    ] = 30.0
    spread_s: Annotated[
        float,
        Meta(ge=0, le=900, description="First reconnect after a connection that stood: any time up to this, seconds"),
    ] = 10.0
    telemetry_s: Annotated[
        float, Meta(ge=0, le=86_400, description="Readings wait for another message up to this long, seconds")
    ] = 1800.0
    drain_bytes_s: Annotated[
        float, Meta(ge=0, le=100_000_000, description="Pace of a backlog, bytes per second; 0: as fast as it can be")
    ] = 16_000.0


class Config(_Table, frozen=True, kw_only=True):
    """One cabinet."""

    schema: Annotated[Literal[1], Meta(description="Version of this format")] = 1
    profile: Annotated[Name, Meta(description="Product profile whose values stand where this file is silent")] = (
        "default"
    )
    node: Node
    site: Site = Site()
    ledger: Ledger = Ledger()
    guard: Guard = Guard()
    station: Station = Station()
    journal: Journal = Journal()
    gpio: Gpio = Gpio()
    meters: Meters = Meters()
    bus: Annotated[list[Bus], Meta(min_length=1, max_length=8)]
    port: Annotated[list[Port], Meta(min_length=1, max_length=40)]
    input: Annotated[list[Input], Meta(max_length=16)] = []
    reader: Annotated[list[Reader], Meta(max_length=8)] = []
    probe_module: Annotated[list[ProbeModule], Meta(max_length=8)] = []
    adc: Annotated[list[Adc], Meta(max_length=4)] = []
    onewire: OneWire = OneWire()
    cabinet: Cabinet = Cabinet()
    limits: Limits = Limits()
    promise: Promise = Promise()
    tests: Tests = Tests()
    completion: Completion = Completion()
    tariff: Annotated[list[Tariff], Meta(max_length=16)] = []
    session: Session = Session()
    load: Load = Load()
    cards: Cards = Cards()
    upstream: Upstream | None = None


class Profile(_Table, frozen=True, kw_only=True):
    """A product profile (config/profiles/*.toml): the tables whose keys it may set, each of them optional."""

    station: Station = Station()
    onewire: OneWire = OneWire()
    cabinet: Cabinet = Cabinet()
    limits: Limits = Limits()
    promise: Promise = Promise()
    tests: Tests = Tests()
    completion: Completion = Completion()
    session: Session = Session()
    upstream: Upstream | None = None
