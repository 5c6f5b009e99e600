"""How numbers and times are written. Ages are coarse, so that a quiet screen sends nothing down the wire."""

from datetime import datetime, tzinfo


def money(usd: float | None) -> str:
    """`$0.0042`, `$1.20`, `$1,204`; a dash for none."""
    if usd is None:
        return "–"
    if usd == 0:
        return "$0"
    if abs(usd) < 0.01:
        return f"${usd:.4f}"
    return f"${usd:,.2f}" if abs(usd) < 1000 else f"${usd:,.0f}"


def count(value: float | None) -> str:
    """`950`, `12.4k`, `3.1M`."""
    if value is None:
        return "–"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            short = value / size
            return f"{short:.0f}{unit}" if short >= 100 else f"{short:.1f}{unit}"
    return f"{value:.0f}"


def span(seconds: float) -> str:
    """A duration in its two largest units: `8s`, `4m10s`, `20m`, `2h05m`, `3d4h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole >= 86_400:
        hours = whole // 3600
        return f"{hours // 24}d" + (f"{hours % 24}h" if hours % 24 else "")
    large, small, rest = ("h", "m", whole // 60) if whole >= 3600 else ("m", "s", whole)
    return f"{rest // 60}{large}" + (f"{rest % 60:02d}{small}" if rest % 60 else "")


def age(since: datetime | None, now: datetime) -> str:
    """How long ago, in whole minutes, hours or days: `<1m`, `12m`, `3h`, `9d`."""
    if since is None:
        return "–"
    seconds = (now - since).total_seconds()
    if seconds < 60:
        return "<1m"
    if seconds < 3600:
        return f"{seconds // 60:.0f}m"
    return f"{seconds // 3600:.0f}h" if seconds < 172_800 else f"{seconds // 86400:.0f}d"


def left(until: datetime | None, now: datetime) -> str:
    """How long until a moment: whole minutes while far, seconds in the last one; `until cleared` when there is no end."""
    if until is None:
        return "until cleared"
    seconds = (until - now).total_seconds()
    if seconds <= 0:
        return "over"
    if seconds <= 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{-(-seconds // 60):.0f}m"
    return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m" if seconds < 172_800 else f"{seconds // 86400:.0f}d"


def clock(moment: datetime | None, zone: tzinfo | None = None) -> str:
    """`12:03:44` in the operator's time zone."""
    return "–" if moment is None else moment.astimezone(zone).strftime("%H:%M:%S")


def stamp(moment: datetime | None, now: datetime, zone: tzinfo | None = None) -> str:
    """`12:03` today, `21 Nov 12:03` on other days."""
    if moment is None:
        return "–"
    here, today = moment.astimezone(zone), now.astimezone(zone)
    return here.strftime("%H:%M" if here.date() == today.date() else "%d %b %H:%M")


def duration_ms(value: float | None) -> str:
    """`87ms`, `1.4s`, `2m10s`."""
    if value is None:
        return "–"
    if value < 1000:
        return f"{value:.0f}ms"
    return f"{value / 1000:.1f}s" if value < 60_000 else span(value / 1000)
