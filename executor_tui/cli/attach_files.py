"""The configuration files of the programs `executor attach` knows, each in its own form.

opencode.ai/docs/providers, aider.chat/docs/config/aider_conf.html, docs.anthropic.com/en/docs/claude-code/settings,
docs.continue.dev/reference.
"""

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from executor_tui.domain.errors import ConfigError

Form = Literal["json", "yaml", "env"]


@dataclass(frozen=True, slots=True)
class Target:
    """The file a program reads, and its form."""

    path: Path
    form: Form


def target(program: str, state_dir: Path) -> Target:
    """Where a program looks for its configuration."""
    home = Path.home()
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "opencode": Target(config_home / "opencode" / "opencode.json", "json"),
        "aider": Target(home / ".aider.conf.yml", "yaml"),
        "claude-code": Target(home / ".claude" / "settings.json", "json"),
        "continue": Target(home / ".continue" / "config.yaml", "yaml"),
        "env": Target(state_dir / "gateway.env", "env"),
    }[program]


def existing(found: Target) -> dict[str, Any]:
    """What the file holds now; empty when there is none. Raises ConfigError when it cannot be read as its form says."""
    if not found.path.exists() or found.form == "env":
        return {}
    text = found.path.read_text(encoding="utf-8")
    if not text.strip():
        return {}
    try:
        data = json.loads(text) if found.form == "json" else _yaml(text)
    except ValueError as exc:
        hint = "it may hold comments; run without --write and put the lines in by hand"
        raise ConfigError(f"{found.path} is not plain {found.form.upper()}: {exc}", hint=hint) from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{found.path} holds no settings by name", hint="run without --write and put the lines in by hand")
    return data


def check(found: Target) -> None:
    """Raises ConfigError before anything is changed when the file could not be kept."""
    existing(found)


def render(program: str, url: str, secret: str, model: str, models: Sequence[str], before: Mapping[str, Any] | None) -> str:
    """The whole file; what stood in `before` stays, but for what is ours."""
    names = ["executor/auto", *models] if model == "executor/auto" else [model, "executor/auto", *models]
    settings = dict(before or {})
    if program == "env":
        return _env(url, secret)
    if program == "opencode":
        provider = {
            "npm": "@ai-sdk/openai-compatible", "name": "Executor", "options": {"baseURL": f"{url}/v1", "apiKey": secret},
            "models": {name: {"name": name} for name in dict.fromkeys(names)},
        }  # fmt: skip
        settings.setdefault("$schema", "https://opencode.ai/config.json")
        settings["provider"] = {**settings.get("provider", {}), "executor": provider}
        settings["model"] = f"executor/{model}"
    elif program == "aider":
        settings |= {"openai-api-base": f"{url}/v1", "openai-api-key": secret, "model": f"openai/{model}"}
    elif program == "claude-code":
        ours = {
            "ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": secret, "ANTHROPIC_MODEL": model,
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "executor/standard", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }  # fmt: skip
        settings["env"] = {**settings.get("env", {}), **ours}
    else:
        entry = {
            "name": "Executor",
            "provider": "openai",
            "model": model,
            "apiBase": f"{url}/v1",
            "apiKey": secret,
            "roles": ["chat", "edit", "apply"],
        }
        others = [m for m in settings.get("models", []) if not (isinstance(m, Mapping) and m.get("name") == "Executor")]
        settings = {"name": "Local", "version": "1.0.0", "schema": "v1", **settings, "models": [*others, entry]}
    if program in ("opencode", "claude-code"):
        return json.dumps(settings, indent=2) + "\n"
    import yaml

    return str(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def write(found: Target, text: str) -> Path | None:
    """Put the file in place, readable by its owner only, the old one kept beside it. Returns where."""
    from executor_tui.config.places import write_atomically

    path = found.path.resolve()  # a link into a folder of dotfiles stays a link
    path.parent.mkdir(parents=True, exist_ok=True)
    backup: Path | None = None
    if path.exists():
        backup = path.with_name(path.name + ".before-executor")
        write_atomically(backup, path.read_text(encoding="utf-8"))
    write_atomically(path, text, 0o600)
    return backup


def _env(url: str, secret: str) -> str:
    values = {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": secret, "ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": secret}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ValueError(str(exc).splitlines()[0]) from exc
