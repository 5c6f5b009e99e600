"""The two directories as plain text, found with nothing imported but `os`: what the console paints first waits for this."""

import os

CONFIG_ENV, STATE_ENV = "EXECUTOR_CONFIG", "EXECUTOR_STATE"


def config_dir(given: str | None = None) -> str:
    """`--config` wins over EXECUTOR_CONFIG, that over the XDG directory."""
    return _absolute(given or os.environ.get(CONFIG_ENV) or _home("XDG_CONFIG_HOME", "~/.config"))


def state_dir(given: str | None = None) -> str:
    """`--state` wins over EXECUTOR_STATE, that over the XDG directory."""
    return _absolute(given or os.environ.get(STATE_ENV) or _home("XDG_STATE_HOME", "~/.local/state"))


def _home(name: str, otherwise: str) -> str:
    return os.path.join(os.environ.get(name) or otherwise, "executor")


def _absolute(path: str) -> str:
    return os.path.join(os.getcwd(), os.path.expanduser(path))  # noqa: PTH109 - see above
