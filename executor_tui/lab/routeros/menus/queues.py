"""Simple queues and queue trees, whose rates stay under the limits they are given."""

from executor_tui.lab.routeros.addresses import queue_target
from executor_tui.lab.routeros.durations import format_amount
from executor_tui.lab.routeros.errors import failure, no_match
from executor_tui.lab.routeros.schema import COUNTED, CRUD, ORDERED, READ, Field, Menu, Unique, menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row
from executor_tui.lab.routeros.values import Names, amount, boolean, decimal, integer, interval, pair, reference, string

_COMMENT = Field("comment", string(), empty_unsets=True)
_DISABLED = Field("disabled", boolean, default="false")
_PRINT = frozenset({"stats", "bytes", "packets", "rate", "oid"})


def console_rate(stored: str) -> str:
    """`20000000/20000000` → `20M/20M`, the way export writes it."""
    return "/".join(format_amount(int(part)) for part in stored.split("/"))


def _rates(pair_of: bool) -> tuple[Field, ...]:
    rate = pair(amount) if pair_of else amount
    zero = "0/0" if pair_of else "0"
    return tuple(
        Field(name, rate, default=zero, console=console_rate) for name in ("limit-at", "max-limit", "burst-limit", "burst-threshold")
    )


def _simple_meters(row: Row, router: Router) -> dict[str, str]:
    now_s = router.clock.monotonic_s()
    limits = [int(part) for part in row.values.get("max-limit", "0/0").split("/")]
    running = row.values.get("disabled") != "true"
    up, down = (
        router.traffic.meter(f"/queue/simple/{row.id}/{way}", now_s, limit_bps=limit, running=running)
        for way, limit in zip(("up", "down"), limits, strict=True)
    )
    return {
        "bytes": f"{up.bytes(now_s)}/{down.bytes(now_s)}",
        "packets": f"{up.packets(now_s)}/{down.packets(now_s)}",
        "rate": f"{up.rate(now_s)}/{down.rate(now_s)}",
        "dropped": "0/0",
        "invalid": "false",
    }


def _tree_meter(row: Row, router: Router) -> dict[str, str]:
    now_s = router.clock.monotonic_s()
    limit = int(row.values.get("max-limit", "0"))
    running = row.values.get("disabled") != "true"
    meter = router.traffic.meter(f"/queue/tree/{row.id}", now_s, limit_bps=limit, running=running)
    return {
        "bytes": str(meter.bytes(now_s)),
        "packets": str(meter.packets(now_s)),
        "rate": str(meter.rate(now_s)),
        "dropped": "0",
        "invalid": "false",
    }


def _check_simple(values: dict[str, str], router: Router) -> None:
    if not values.get("name"):
        table = router.table("/queue/simple")
        values["name"] = next(f"queue{n}" for n in range(1, len(table) + 2) if not table.by_value("name", f"queue{n}"))
    if not values.get("target") and not values.get("dst"):
        raise failure("target or dst must be specified")
    for low, high in zip(values["limit-at"].split("/"), values["max-limit"].split("/"), strict=True):
        _check_limits(int(low), int(high))


def _check_tree(values: dict[str, str], router: Router) -> None:
    _check_limits(int(values["limit-at"]), int(values["max-limit"]))


def _check_limits(low: int, high: int) -> None:
    if high and low > high:
        raise failure("max-limit should be greater than limit-at")


def _tree_parent(text: str, field: str, names: Names) -> str:
    if text == "global" or names.has("interface", text) or names.has("queue", text):
        return text
    raise no_match(field)


MENUS: tuple[Menu, ...] = (
    menu("/queue/type", "queue type", Field("name", string()), Field("kind", string()), verbs=READ, name_key="name"),
    menu(
        "/queue/simple",
        "queue",
        Field("name", string()),
        Field("target", queue_target, default=""),
        Field("dst", queue_target, empty_unsets=True),
        Field("parent", reference("simple-queue", "none"), default="none"),
        Field("packet-marks", string(), default=""),
        *_rates(True),
        Field("priority", pair(integer(1, 8)), default="8/8"),
        Field("queue", pair(reference("queue-type")), default="default-small/default-small"),
        Field("burst-time", pair(interval), default="0s/0s"),
        Field("bucket-size", pair(decimal), default="0.1/0.1"),
        _COMMENT,
        _DISABLED,
        verbs=ORDERED | COUNTED,
        name_key="name",
        uniques=(Unique(("name",), "already have such name"),),
        check=_check_simple,
        derive=_simple_meters,
        print_arguments=_PRINT,
    ),
    menu(
        "/queue/tree",
        "queue",
        Field("name", string(min_length=1), required=True),
        Field("parent", _tree_parent, required=True),
        Field("packet-mark", string(), default=""),
        *_rates(False),
        Field("priority", integer(1, 8), default="8"),
        Field("queue", reference("queue-type"), default="default-small"),
        Field("burst-time", interval, default="0s"),
        Field("bucket-size", decimal, default="0.1"),
        _COMMENT,
        _DISABLED,
        verbs=CRUD | COUNTED,
        name_key="name",
        uniques=(Unique(("name",), "already have such name"),),
        check=_check_tree,
        derive=_tree_meter,
        print_arguments=_PRINT,
    ),
)
