"""Reading the files. A mistake is one line that names the file, the path in it, what was found and what is allowed."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from executor_tui.config.base import Settings
from executor_tui.config.files import FleetRegistry, HydraKeys, NotificationSettings, RolesSettings
from executor_tui.config.general import ExecutorSettings
from executor_tui.config.models import ModelsSettings
from executor_tui.config.places import DATABASE_ENV, shipped
from executor_tui.domain.errors import ConfigError

S = TypeVar("S", bound=Settings)
MAX_FILE_BYTES = 8 * 1024 * 1024

FILES: dict[str, type[Settings]] = {
    "executor.json": ExecutorSettings,
    "models.json": ModelsSettings,
    "hydra_keys.json": HydraKeys,
    "notification.json": NotificationSettings,
    "fleet_registry.json": FleetRegistry,
    "roles.json": RolesSettings,
}
_SHIPPED_DEFAULTS = frozenset({"models.json", "roles.json", "fleet_registry.json"})
"""Files whose example is also the default when the user has none."""


@dataclass(frozen=True, slots=True)
class Config:
    """Every file, loaded. `sources` says which files the user has; the rest are defaults."""

    executor: ExecutorSettings
    models: ModelsSettings
    hydra_keys: HydraKeys
    notification: NotificationSettings
    fleet_registry: FleetRegistry
    roles: RolesSettings
    config_dir: Path
    sources: tuple[str, ...] = ()

    def database_url(self, default: str) -> str:
        """EXECUTOR_DATABASE_URL, else executor.json, else `default`."""
        return os.environ.get(DATABASE_ENV) or self.executor.database_url or default


def load(config_dir: Path) -> Config:
    """All files of a directory, defaults for those that are missing. Raises ConfigError with every mistake, one line each."""
    loaded: dict[str, Settings] = {}
    mistakes: list[str] = []
    for name, cls in FILES.items():
        try:
            loaded[name] = load_file(config_dir, name, cls)
        except ConfigError as exc:
            mistakes.append(exc.message)
    if mistakes:
        raise ConfigError("\n".join(mistakes), hint="check again with: executor config validate")
    return _assemble(config_dir, loaded)


def load_file(config_dir: Path, name: str, cls: type[S]) -> S:
    """One file, its default when it is missing. Raises ConfigError."""
    path = config_dir / name
    if not path.exists():
        path = shipped("config") / name.replace(".json", ".example.json")
        if name not in _SHIPPED_DEFAULTS or not path.exists():
            return cls()
    return parse(path, read_json(path), cls)


def read_json(path: Path) -> object:
    """The JSON in a file. Raises ConfigError naming line and column."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_FILE_BYTES // 1024 // 1024} MiB; this cannot be a configuration file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as exc:
        where = f"line {exc.lineno}, column {exc.colno}: {exc.msg}" if isinstance(exc, json.JSONDecodeError) else "nested too deeply"
        raise ConfigError(f"{path}: not JSON: {where}") from exc


def parse(path: Path, data: object, cls: type[S]) -> S:
    """JSON as settings. Raises ConfigError, one line a mistake; values that look like secrets are not repeated."""
    try:
        return cls.model_validate(data)
    except ValidationError as exc:
        lines = []
        for error in exc.errors(include_url=False):
            where = ".".join(str(part) for part in error["loc"]) or "(whole file)"
            lines.append(f"{path}: {where}: {_explain(dict(error), cls)}")
        raise ConfigError("\n".join(lines), hint="the allowed form: executor config schema") from exc


_SECRET_NAMES = ("key", "token", "password", "secret", "webhook")


def _explain(error: dict[str, object], cls: type[BaseModel]) -> str:
    loc = error["loc"]
    assert isinstance(loc, tuple)
    name = str(loc[-1]) if loc else ""
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields_at(cls, loc[:-1])))
        return f"unknown name {name!r}" + (f"; allowed here: {allowed}" if allowed else "")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in ("missing", "value_error"):
        return message
    hidden = any(word in name.lower() for word in _SECRET_NAMES)
    found = "a value that is not shown" if hidden else repr(error["input"])[:80]
    return f"found {found}; {message[0].lower()}{message[1:]}"


def _fields_at(cls: type[BaseModel], loc: tuple[object, ...]) -> set[str]:
    """Names allowed at a path inside the model; empty where the path leads through a free-form mapping we cannot follow."""
    import typing

    current: object = cls
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel) and str(part) in current.model_fields:
            current = current.model_fields[str(part)].annotation
        for _ in range(3):
            args = [a for a in typing.get_args(current) if a not in (type(None), ...)]
            if isinstance(current, type) and not args:
                break
            current = args[-1] if args else current
    return set(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else set()


def _assemble(config_dir: Path, loaded: dict[str, Settings]) -> Config:
    executor, models, keys = loaded["executor.json"], loaded["models.json"], loaded["hydra_keys.json"]
    notification, fleet, roles = loaded["notification.json"], loaded["fleet_registry.json"], loaded["roles.json"]
    assert isinstance(executor, ExecutorSettings) and isinstance(models, ModelsSettings) and isinstance(keys, HydraKeys)
    assert isinstance(notification, NotificationSettings) and isinstance(fleet, FleetRegistry) and isinstance(roles, RolesSettings)
    sources = tuple(name for name in FILES if (config_dir / name).exists())
    return Config(executor, models, keys, notification, fleet, roles, config_dir, sources)
