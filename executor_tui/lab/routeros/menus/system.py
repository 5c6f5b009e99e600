"""What the router says about itself: resources, identity, clock, updates, scheduler, scripts, users, certificates, files, log."""

from datetime import timedelta

from executor_tui.lab.routeros.durations import format_interval
from executor_tui.lab.routeros.schema import CRUD, READ, SETTINGS, Field, Menu, Unique, menu
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.table import Row
from executor_tui.lab.routeros.values import boolean, calendar_date, interval, one_of, some_of, string, time_of_day

_COMMENT = Field("comment", string(), empty_unsets=True)
_DISABLED = Field("disabled", boolean, default="false")
POLICIES = ("ftp", "reboot", "read", "write", "policy", "test", "password", "sniff", "sensitive", "romon")
_POLICY = Field("policy", some_of(POLICIES), default="ftp,reboot,read,write,policy,test,password,sniff,sensitive,romon")


def _resource(row: Row, router: Router) -> dict[str, str]:
    health = router.health
    return {
        "uptime": format_interval(int(router.uptime_s()) * 1_000),
        "version": f"{router.device.version} ({router.device.channel})",
        "build-time": "2026-10-28 09:12:44",
        "factory-software": "7.8",
        "free-memory": str(health.free_memory_bytes),
        "total-memory": str(health.total_memory_bytes),
        "cpu": "ARM64",
        "cpu-count": "4",
        "cpu-frequency": "1800",
        "cpu-load": str(health.cpu_load_percent),
        "free-hdd-space": str(health.free_hdd_bytes),
        "total-hdd-space": str(health.total_hdd_bytes),
        "bad-blocks": health.bad_blocks_percent,
        "architecture-name": router.device.architecture,
        "board-name": router.device.board,
        "platform": "MikroTik",
    }


def _clock(row: Row, router: Router) -> dict[str, str]:
    now = router.clock.now()
    return {
        "time": now.strftime("%H:%M:%S"),
        "date": now.strftime("%Y-%m-%d"),
        "gmt-offset": "+00:00",
        "dst-active": "false",
        "time-zone-autodetect": "true",
    }


def _update(row: Row, router: Router) -> dict[str, str]:
    shown = {"installed-version": router.device.version}
    if router.settings["/system/package/update"].get("checked") == "yes":
        latest = router.health.latest_version or router.device.version
        newer = latest != router.device.version
        shown |= {
            "latest-version": latest,
            "status": "New version is available" if newer else "System is already up to date",
        }
    return shown


def _routerboard(row: Row, router: Router) -> dict[str, str]:
    return {
        "routerboard": "true",
        "model": "C53UiG+5HPaxD2HPaxD",
        "serial-number": router.device.serial,
        "current-firmware": router.device.version,
    }


def _license(row: Row, router: Router) -> dict[str, str]:
    return {"software-id": "LAB0-0001", "nlevel": "4"}


def _scheduler(row: Row, router: Router) -> dict[str, str]:
    facts = {"owner": row.facts.get("owner", "admin"), "run-count": row.facts.get("run-count", "0")}
    if "next_s" in row.facts and row.values.get("disabled") != "true":
        left = timedelta(seconds=float(row.facts["next_s"]) - router.clock.monotonic_s())
        facts["next-run"] = (router.clock.now() + left).strftime("%Y-%m-%d %H:%M:%S")
    return facts


def _complete_job(values: dict[str, str], router: Router) -> None:
    now = router.clock.now()
    values.setdefault("start-date", now.strftime("%Y-%m-%d"))
    values.setdefault("start-time", now.strftime("%H:%M:%S"))


def _script(row: Row, router: Router) -> dict[str, str]:
    return {"owner": row.facts.get("owner", "admin"), "run-count": row.facts.get("run-count", "0"), "invalid": "false"}


def _facts(row: Row, router: Router) -> dict[str, str]:
    return dict(row.facts)


def _certificate(row: Row, router: Router) -> dict[str, str]:
    until = router.clock.now() + timedelta(days=router.health.certificate_days_left)
    left_ms = max(0, router.health.certificate_days_left) * 86_400_000
    return {
        **router.certificate_facts,
        "invalid-after": until.strftime("%Y-%m-%d %H:%M:%S"),
        "expires-after": format_interval(left_ms),
        "expired": str(router.health.certificate_days_left <= 0).lower(),
    }


def _file(row: Row, router: Router) -> dict[str, str]:
    return dict(row.facts)


def _settings(path: str, *fields: Field, **rest: object) -> Menu:
    return menu(path, path.rpartition("/")[2], *fields, **({"verbs": SETTINGS, "singleton": True} | rest))


_READ_ONLY = frozenset({"print", "getall", "get"})

MENUS: tuple[Menu, ...] = (
    _settings("/system/resource", verbs=_READ_ONLY, derive=_resource),
    _settings("/system/routerboard", verbs=_READ_ONLY, derive=_routerboard),
    _settings("/system/license", verbs=_READ_ONLY, derive=_license),
    _settings("/system/identity", Field("name", string(min_length=1, max_length=64))),
    _settings("/system/clock", Field("time-zone-name", string()), derive=_clock),
    _settings(
        "/system/package/update",
        Field("channel", one_of("stable", "long-term", "testing", "development")),
        verbs=SETTINGS | {"check-for-updates"},
        derive=_update,
        hidden=frozenset({"checked"}),
    ),
    menu(
        "/system/package",
        "package",
        Field("name", string()),
        Field("version", string()),
        verbs=READ,
        name_key="name",
        derive=_facts,
    ),
    menu(
        "/system/scheduler",
        "scheduled event",
        Field("name", string(min_length=1), required=True),
        Field("start-date", calendar_date),
        Field("start-time", time_of_day),
        Field("interval", interval, default="0s"),
        Field("on-event", string(), default=""),
        _POLICY,
        _COMMENT,
        _DISABLED,
        name_key="name",
        uniques=(Unique(("name",), "item with this name already exists"),),
        check=_complete_job,
        derive=_scheduler,
    ),
    menu(
        "/system/script",
        "script",
        Field("name", string(min_length=1), required=True),
        Field("source", string(), default=""),
        _POLICY,
        Field("dont-require-permissions", boolean, default="false"),
        _COMMENT,
        verbs=CRUD | {"run"},
        name_key="name",
        uniques=(Unique(("name",), "item with this name already exists"),),
        derive=_script,
    ),
    menu(
        "/user",
        "user",
        Field("name", string()),
        Field("group", string()),
        Field("address", string()),
        _COMMENT,
        _DISABLED,
        verbs=READ,
        name_key="name",
        derive=_facts,
    ),
    menu("/user/active", "active user", Field("name", string()), verbs=READ, derive=_facts),
    menu("/certificate", "certificate", Field("name", string()), verbs=READ, name_key="name", derive=_certificate),
    menu(
        "/file",
        "file",
        Field("name", string(min_length=1), required=True),
        Field("contents", string(), default=""),
        verbs=READ | {"add", "set", "remove", "read"},
        name_key="name",
        uniques=(Unique(("name",), "already have such file"),),
        hidden=frozenset({"contents"}),
        derive=_file,
    ),
    menu("/log", "log line", verbs=frozenset({"print", "getall", "listen"})),
)
