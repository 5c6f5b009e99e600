"""The comment on every row of ours: it names the owner, the change that made the row and the operation in it, then a few words."""

import re
from collections.abc import Mapping

OWNER = "executor"
_MARK = re.compile(rf"^{OWNER} (chg-[\w-]+\.\d+[a-z]?)(?:: (.*))?$")
_SECRET_SAFE = re.compile(r"[^A-Za-z0-9_.-]")


def comment_for(mark: str, note: str = "") -> str:
    """`executor chg-1a2b.1: block the scanner`."""
    return f"{OWNER} {mark}" + (f": {note}" if note else "")


def mark_in(row: Mapping[str, str]) -> str:
    """The mark a row carries; empty when it is not ours."""
    match = _MARK.match(row.get("comment", ""))
    return match.group(1) if match else ""


def change_of(mark: str) -> str:
    """The change a mark belongs to."""
    return mark.rpartition(".")[0]


def operation_of(mark: str) -> int:
    """Which operation of its change a mark belongs to, from 1."""
    return int(mark.rpartition(".")[2].rstrip("abcdefghijklmnopqrstuvwxyz"))


def key_ref(device: str, mark: str) -> str:
    """Where the vault keeps the private key that belongs to a row: a new row never gets the key of an older one."""
    return f"wg-{_SECRET_SAFE.sub('-', device)}-{mark}-key"


def preshared_ref(device: str, mark: str) -> str:
    """Where the vault keeps the pre-shared key of a peer."""
    return f"wg-{_SECRET_SAFE.sub('-', device)}-{mark}-psk"
