"""Where things are: the configuration directory, the state directory, and what ships with the program."""

import os
from dataclasses import dataclass
from pathlib import Path

from executor_tui.config.dirs import config_dir, state_dir

DATABASE_ENV = "EXECUTOR_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Places:
    """The two directories every command takes."""

    config_dir: Path
    state_dir: Path

    @property
    def log_file(self) -> Path:
        return self.state_dir / "executor.log"

    @property
    def projects_dir(self) -> Path:
        return self.state_dir / "projects"

    @property
    def identity_file(self) -> Path:
        return self.state_dir / "identity.txt"

    @property
    def last_state_file(self) -> Path:
        return self.state_dir / "last_state.json"


def find_places(config: str | None = None, state: str | None = None) -> Places:
    """`--config`/`--state` win over EXECUTOR_CONFIG/EXECUTOR_STATE, those over the XDG directories."""
    return Places(Path(config_dir(config)), Path(state_dir(state)))


def shipped(kind: str) -> Path:
    """The shipped `styles`, `skills` or `config` folder: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_shipped" / kind
    return inside if inside.is_dir() else package.parent / kind


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file so that a power cut leaves the old text or the new, whole: temporary file, fsync, rename, fsync."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            os.fchmod(descriptor, mode)
            handle.write(text)
            handle.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
