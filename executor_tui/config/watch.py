"""Hot reload: a good change applies while the program runs, a bad one is reported and the old settings stay."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from executor_tui.config.load import FILES, Config, load
from executor_tui.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """New settings are in force."""

    config: Config
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    """A file was changed into something unusable; the settings before it stay in force."""

    message: str
    files: tuple[str, ...]


async def watch(config_dir: Path) -> AsyncIterator[ConfigChanged | ConfigRejected]:
    """Yields once per burst of edits to our files. The directory is made if missing, so that a first file is seen too."""
    config_dir.mkdir(parents=True, exist_ok=True)
    async for changes in awatch(config_dir, recursive=False, debounce=300, step=50):
        files = tuple(sorted({Path(path).name for _, path in changes} & set(FILES)))
        if not files:
            continue
        try:
            yield ConfigChanged(load(config_dir), files)
        except ConfigError as exc:
            yield ConfigRejected(exc.message, files)
