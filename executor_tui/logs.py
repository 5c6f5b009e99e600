"""Logging: to a file of the state directory, one line a record, without secrets. Nothing goes to a terminal that Textual draws on."""

import logging
import logging.handlers
import re
from pathlib import Path

from executor_tui.domain.errors import StoreError

# proxmoxer logs request data at INFO, passwords included; httpx logs URLs, and a Telegram URL holds the bot's token.
_LOUD = {"proxmoxer": logging.WARNING, "httpx": logging.WARNING, "httpcore": logging.WARNING, "telegram": logging.WARNING,
         "asyncssh": logging.WARNING, "LiteLLM": logging.WARNING, "alembic": logging.WARNING, "apscheduler": logging.WARNING}  # fmt: skip

_SECRET_SHAPES = re.compile(
    r"(sk-[A-Za-z0-9_-]{8})[A-Za-z0-9_-]{8,}|(AIza[A-Za-z0-9_-]{4})[A-Za-z0-9_-]{20,}|(pplx-)[A-Za-z0-9]{16,}"
    r"|(AGE-SECRET-KEY-)[A-Z0-9]+|(xv-)[A-Za-z0-9_-]{16,}|(bot\d+:)[A-Za-z0-9_-]{20,}|((?i:bearer) )[A-Za-z0-9._-]{16,}"
)


def scrub(text: str) -> str:
    """`text` with anything that has the shape of a key cut short. A net under the rule that secrets are never logged."""
    return _SECRET_SHAPES.sub(lambda m: next(g for g in m.groups() if g is not None)[:12] + "…", text)


class _Scrubbing(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record)).replace("\r", "\\r")


def log_to_file(path: Path, level: int = logging.INFO) -> None:
    """Send every logger's records to `path` (0600, rotated at 5 MB, three kept). Raises StoreError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as exc:
        raise StoreError(f"{path} cannot be written: {exc.strerror}", hint=f"make {path.parent} writable for this user") from exc
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3, encoding="utf-8", delay=True)
    handler.setFormatter(_Scrubbing("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in _LOUD.items():
        logging.getLogger(name).setLevel(quiet)
    logging.captureWarnings(True)
