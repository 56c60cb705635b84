"""``pilenode card``: readers, cards and lists of cards. The commands are in files of their own."""

from __future__ import annotations

from typing import Final

from pilenode.cli.bilingual import Group, Late, Text

_BOOK: Final = "pilenode.cli.card_book"

command = Group(
    "card",
    text=Text("读卡器、卡和名单。", "Card readers, cards and lists of cards."),
    late={
        "watch": Late(
            "pilenode.cli.card_watch:watch", Text("实时显示读卡器读到什么。", "Show what the readers read, live.")
        ),
        "follow": Late(
            "pilenode.cli.card_follow:follow",
            Text("实时显示每次刷卡的结果。", "Show what cards lead to, live."),
        ),
        "learn": Late(f"{_BOOK}:learn", Text("登记一张卡。", "Learn a card.")),
        "list": Late(f"{_BOOK}:list_command", Text("查看卡和名单。", "Show cards and the list.")),
        "forget": Late(f"{_BOOK}:forget", Text("删除登记的卡。", "Forget a learned card.")),
        "deny": Late(f"{_BOOK}:deny", Text("停用一张卡。", "Deny a card.")),
        "allow": Late(f"{_BOOK}:allow", Text("取消停用。", "Take a denial back.")),
        "set": Late(f"{_BOOK}:set_command", Text("下发整份名单。", "Send a whole list.")),
        "hash": Late("pilenode.cli.card_hash:hash_command", Text("计算卡的代号。", "Compute what lists call a card.")),
    },
)
