"""Words for the trouble of a card reader: code ``reader_`` and the ``drivers.card_contracts.ReaderState``."""

from __future__ import annotations

from typing import Final

from config.errors import Wording

READERS: Final = {
    "reader_absent": Wording(
        "没有找到读卡器的设备。",
        "The device of the card reader is not there.",
        "检查插头和 reader.device；SPI 需在 /boot/firmware/config.txt 中启用 dtparam=spi=on。",
        "Check its plug and reader.device; SPI needs dtparam=spi=on in /boot/firmware/config.txt.",
    ),
    "reader_busy": Wording(
        "读卡器正被其他程序占用。",
        "Another program uses the card reader.",
        "先停止占用它的程序（例如 pilenode-station），再试一次。",
        "Stop the program that has it (pilenode-station, for example), then try again.",
    ),
    "reader_denied": Wording(
        "没有权限打开读卡器的设备。",
        "You have no right to open the device of the card reader.",
        "使用 dialout（串口）、input（键盘）、gpio 或 spi 组的用户，或用 sudo。",
        "Use a member of the group dialout (serial), input (keyboard), gpio or spi, or sudo.",
    ),
    "reader_failed": Wording(
        "读卡器程序内部错误。",
        "Internal error in the reading of cards.",
        "这是程序缺陷，请连同显示的内容报告。",
        "This is a bug; report it with what was shown.",
    ),
    "reader_lost": Wording(
        "读卡器已断开。",
        "The card reader has gone.",
        "检查插头和供电；接回后会自动恢复。",
        "Check its plug and supply; it is used again as soon as it is back.",
    ),
    "reader_silent": Wording(
        "设备存在，但读卡器没有应答。",
        "The device is there, but the card reader behind it does not answer.",
        "检查接线、供电、波特率和模块上的接口选择开关。",
        "Check wiring, supply, baud rate and the interface switches on the module.",
    ),
    "reader_starting": Wording(
        "读卡器还没有准备好。",
        "The card reader was not ready yet.",
        "把 --seconds 设大一些再试。",
        "Try again with a larger --seconds.",
    ),
    "reader_unusable": Wording(
        "该设备不能作为这种读卡器使用。",
        "The device cannot be used as a card reader of this kind.",
        "检查 reader.kind、reader.device 和 gpio.factory。",
        "Check reader.kind, reader.device and gpio.factory.",
    ),
}
