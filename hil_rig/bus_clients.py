"""One Modbus client at a time against a rack, as a process of its own: ``python -m hil_rig.bus_clients NAME ...``.

Reads ten registers of every unit, cycle after cycle, and prints one line of JSON: polls, failed polls, CPU seconds from
the first poll to the last (without start-up), and resident memory. ``pilenode`` is our line with our meter, decoding
included; the others hand over register values. pymodbus runs with the settings that serve it best here: no retries, a
short time-out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import time
from typing import TYPE_CHECKING

from pilenode.guard.realtime import raise_priority

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT = 10
_TIMEOUT_S = 0.3


def pilenode(device: str, baud: int, units: int) -> Callable[[int], bool]:
    """Return a poll over ``drivers.bus`` and ``drivers.meter``: a block of ten registers of a PZEM-004T, decoded."""
    from config.load import load_meter  # noqa: PLC0415 - each client imports its own library only
    from drivers.bus import SerialLine  # noqa: PLC0415
    from drivers.meter import MeterDevice  # noqa: PLC0415
    from pilenode.guard.meter_map import register_map  # noqa: PLC0415
    from safety.reading import MeterReading  # noqa: PLC0415

    line = SerialLine(device, baud, "N", 2, turnaround_s=0.1)
    table = register_map(load_meter("pzem004t-v3"))
    meters = {unit: MeterDevice(line, unit, table) for unit in range(1, units + 1)}
    return lambda unit: isinstance(meters[unit].poll(time.monotonic, slow=False)[1], MeterReading)


def pymodbus_sync(device: str, baud: int, units: int) -> Callable[[int], bool]:
    """Return a poll over pymodbus' synchronous client."""
    from pymodbus.client import ModbusSerialClient  # noqa: PLC0415

    del units
    client = ModbusSerialClient(device, baudrate=baud, stopbits=2, timeout=_TIMEOUT_S, retries=0)
    client.connect()
    return lambda unit: not client.read_input_registers(0, count=_COUNT, device_id=unit).isError()


def _cycles(poll: Callable[[int], bool], units: int, cycles: int) -> tuple[int, float]:
    for unit in range(1, units + 1):  # opens the line, learns what there is to learn
        poll(unit)
    failed, begun_s = 0, time.process_time()
    for _ in range(cycles):
        failed += sum(not poll(unit) for unit in range(1, units + 1))
    return failed, time.process_time() - begun_s


async def _pymodbus_async(device: str, baud: int, units: int, cycles: int) -> tuple[int, float]:
    from pymodbus.client import AsyncModbusSerialClient  # noqa: PLC0415

    client = AsyncModbusSerialClient(device, baudrate=baud, stopbits=2, timeout=_TIMEOUT_S, retries=0)
    await client.connect()
    failed, begun_s = 0, 0.0
    for cycle in range(cycles + 1):
        if cycle == 1:
            failed, begun_s = 0, time.process_time()
        for unit in range(1, units + 1):
            reply = await client.read_input_registers(0, count=_COUNT, device_id=unit)
            failed += reply.isError()
    used_s = time.process_time() - begun_s
    client.close()
    return failed, used_s


CLIENTS = {"pilenode": pilenode, "pymodbus": pymodbus_sync}


def main() -> None:
    """Run one client."""
    parser = argparse.ArgumentParser(prog="python -m hil_rig.bus_clients", description=__doc__)
    parser.add_argument("name", choices=[*CLIENTS, "pymodbus-async"])
    parser.add_argument("--device", required=True)
    parser.add_argument("--baud", type=int, required=True)
    parser.add_argument("--units", type=int, default=10)
    parser.add_argument("--cycles", type=int, default=10)
    one = parser.parse_args()
    with contextlib.suppress(OSError):  # as guard runs, and the same for everybody
        raise_priority()
    if one.name == "pymodbus-async":
        failed, cpu_s = asyncio.run(_pymodbus_async(one.device, one.baud, one.units, one.cycles))
    else:
        failed, cpu_s = _cycles(CLIENTS[one.name](one.device, one.baud, one.units), one.units, one.cycles)
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"polls": one.cycles * one.units, "failed": failed, "cpu_s": cpu_s, "memory_mib": memory_mib}))


if __name__ == "__main__":
    main()
