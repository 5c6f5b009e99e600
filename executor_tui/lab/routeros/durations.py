"""Time intervals and amounts as RouterOS writes them: `1w4d23h26m9s`, `20M`."""

import re

_UNITS_MS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1, "us": 0, "ns": 0}
_PART = re.compile(r"(\d+)(ms|us|ns|w|d|h|m|s)")
_CLOCK = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?\s*(\d+):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,3})\d*)?)?")
_AMOUNT = re.compile(r"(\d+)(?:\.(\d+))?([kKMGT]?)")
_FACTORS = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000, "T": 1_000_000_000_000}


def parse_interval_ms(text: str) -> int:
    """Milliseconds of `30`, `30s`, `1d2h`, `00:00:30` or `1d 02:00:00`. Raises `ValueError`."""
    if text.isdigit():
        return int(text) * 1_000
    clock = _CLOCK.fullmatch(text)
    if clock:
        weeks, days, hours, minutes, seconds, fraction = (group or "0" for group in clock.groups())
        whole_s = ((int(weeks) * 7 + int(days)) * 24 + int(hours)) * 3_600 + int(minutes) * 60 + int(seconds)
        return whole_s * 1_000 + int(fraction.ljust(3, "0"))
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"not a time interval: {text}")
    return sum(int(number) * _UNITS_MS[unit] for number, unit in parts)


def format_interval(milliseconds: int) -> str:
    """The way print shows an interval: largest units first, nothing that is zero, `0s` for none."""
    rest = milliseconds
    parts: list[str] = []
    for unit in ("w", "d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_amount(text: str) -> int:
    """`20M` → 20000000; decimal factors, as rates have. Raises `ValueError`."""
    if text == "unlimited":
        return 0
    match = _AMOUNT.fullmatch(text)
    if not match:
        raise ValueError(f"not an amount: {text}")
    whole, fraction, factor = match.groups()
    scale = _FACTORS[factor]
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def format_amount(amount: int) -> str:
    """The short console form used by export: 20000000 → `20M`."""
    for factor, scale in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if amount and amount % scale == 0:
            return f"{amount // scale}{factor}"
    return str(amount)
