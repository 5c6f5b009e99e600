"""Moments as operators write them: `:at 03:12` in the console, `--at 03:12` on the command line."""

from datetime import UTC, datetime, timedelta

from executor_tui.domain.errors import UsageError


def parse_moment(text: str, now: datetime, offset: timedelta) -> datetime:
    """`03:12`, `03:12:40`, `-10m`, `-2h` or `2026-11-21 03:12`, in the operator's time zone; a time still to come today is yesterday's."""
    text = text.strip()
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    if text.startswith("-") and text[-1:] in units and text[1:-1].isdigit():
        return now - timedelta(seconds=int(text[1:-1]) * units[text[-1]])
    local = now.astimezone(UTC) + offset
    for form in ("%H:%M", "%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if form.startswith("%H"):
            found = found.replace(year=local.year, month=local.month, day=local.day)
            found -= timedelta(days=1) if found > local else timedelta(0)
        return found - offset
    raise UsageError(f"{text!r} is no time; say 03:12, -10m, or 2026-11-21 03:12")
