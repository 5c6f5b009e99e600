"""Running git on a tree nobody vouches for, so that nothing in the tree or its repository is ever executed.

The environment names the repository outright (no discovery), there is no user or system configuration, and the repository's own
configuration file is put back to what Executor wrote before each command: hooks, filters, fsmonitor, external diff and editors need a line
in one of them. See git-config(1) "safe.directory" and gitattributes(5) for the doors that are closed here.
"""

# Descriptors and raw paths throughout: pathlib cannot say "relative to this open directory".
# ruff: noqa: PTH103, PTH105, PTH108
from __future__ import annotations

import contextlib
import fcntl
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from executor_tui.workspaces.inside import faults
from executor_tui.workspaces.inside.faults import Fault, shown

COMMAND_TIMEOUT_S = 120.0
LOCK_TIMEOUT_S = 30.0
MAX_OUTPUT_BYTES = 16 * 1024 * 1024
SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
REVISION = re.compile(r"(?:[0-9a-f]{7,64}|HEAD(?:~[0-9]{1,4})?)")

_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.editor=false",
    "core.pager=cat",
    "core.askPass=",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.fsync=committed,reference",
    "core.quotePath=false",
    "credential.helper=",
    "diff.external=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "diff.ignoreSubmodules=all",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "transfer.fsckObjects=true",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "safe.directory=*",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
)
_FLAGS = [flag for setting in _SAFE for flag in ("-c", setting)]

EXCLUDED = (
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".venv/",
    "node_modules/",
    ".DS_Store",
)


@dataclass(frozen=True)
class Output:
    """What a git command left behind; `cut` says that stdout was longer than asked for."""

    status: int
    stdout: bytes
    stderr: str
    cut: bool = False

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment git gets: nothing of ours, no prompts, no configuration files."""
    return {
        "PATH": os.environ.get("PATH", "") or "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "false",
        "GIT_PAGER": "cat",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        **(extra or {}),
    }


def in_tree(root: str) -> dict[str, str]:
    """The variables that tie git to the repository of `root`, whatever that repository says about itself."""
    repository = os.path.join(root, ".git")
    return {
        "GIT_DIR": repository,
        "GIT_COMMON_DIR": repository,
        "GIT_WORK_TREE": root,
        "GIT_INDEX_FILE": f"{repository}/index",
    }


def bare(repository: str) -> dict[str, str]:
    """The variables that tie git to a bare repository."""
    return {"GIT_DIR": repository, "GIT_COMMON_DIR": repository}


def run(
    args: Sequence[str],
    cwd: str,
    extra: Mapping[str, str],
    *,
    stdin: bytes = b"",
    allowed: Sequence[int] = (0,),
    max_bytes: int = MAX_OUTPUT_BYTES,
    timeout_s: float = COMMAND_TIMEOUT_S,
) -> Output:
    """Run `git ARGS`; raises `Fault` for a status outside `allowed`, for no end within `timeout_s`, and when git is missing."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(stdin)
        given.seek(0)
        try:
            child = subprocess.Popen(
                ["git", *_FLAGS, *args],
                cwd=cwd,
                env=environment(extra),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=told,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Fault(faults.GIT, "git is not installed where the workspace is; install the git package there") from error
        try:
            stdout, cut = _collect(child, max_bytes, timeout_s, args[0])
        except BaseException:
            _kill_group(child)
            raise
        told.seek(0)
        stderr = told.read(65536).decode("utf-8", "replace")
    if child.returncode not in allowed and not cut:
        raise Fault(faults.GIT, f"git {args[0]}: {_last_line(stderr) or f'status {child.returncode}'}")
    return Output(child.returncode, stdout, stderr, cut)


def _last_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return shown((telling or lines or [""])[-1])


def _collect(child: subprocess.Popen[bytes], max_bytes: int, timeout_s: float, what: str) -> tuple[bytes, bool]:
    """Read stdout up to `max_bytes`, then wait for the end; git is killed when it has more to say or does not end."""
    assert child.stdout is not None
    deadline = time.monotonic() + timeout_s
    kept = bytearray()
    with child.stdout as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(kept) <= max_bytes:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise Fault(faults.GIT, f"git {what} did not end within {timeout_s:.0f} s and was stopped")
            piece = os.read(pipe.fileno(), 65536)
            if not piece:
                break
            kept += piece
        cut = len(kept) > max_bytes
        if cut:
            _kill_group(child)
    try:
        child.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise Fault(faults.GIT, f"git {what} did not end within {timeout_s:.0f} s and was stopped") from error
    return bytes(kept[:max_bytes]), cut


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def check_revision(revision: str) -> str:
    """`revision` when it is a hexadecimal name or HEAD; anything else could be read as an option or a range."""
    if not REVISION.fullmatch(revision):
        raise Fault(faults.GIT, f"{shown(revision)} is not a commit; give its hexadecimal name, or HEAD")
    return revision


def check_branch(name: str) -> str:
    """`name` when git-check-ref-format(1) accepts it as a branch."""
    if name.startswith(("-", "refs/")) or not name.isprintable():
        raise Fault(faults.GIT, f"{shown(name)} cannot be the name of a branch")
    found = run(["check-ref-format", "--branch", name], "/", {}, allowed=(0, 1, 128))
    if found.status != 0 or found.text.strip() != name:
        raise Fault(faults.GIT, f"{shown(name)} cannot be the name of a branch")
    return name


def config_text(object_format: str = "sha1") -> str:
    """The only configuration a workspace's repository may have."""
    version = 0 if object_format == "sha1" else 1
    text = f"[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
    return text if object_format == "sha1" else f"{text}[extensions]\n\tobjectFormat = {object_format}\n"


def write_config(root: str, object_format: str) -> None:
    """Put the repository's configuration, excludes and attributes to what Executor wants, and remove its hooks."""
    repository = os.path.join(root, ".git")
    _write(os.path.join(repository, "config"), config_text(object_format))
    os.makedirs(os.path.join(repository, "info"), exist_ok=True)
    _write(os.path.join(repository, "info", "exclude"), "".join(f"{line}\n" for line in EXCLUDED))
    shutil.rmtree(os.path.join(repository, "hooks"), ignore_errors=True)


def _write(path: str, text: str) -> None:
    temporary = f"{path}.executor"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def check_repository(root: str) -> None:
    """Raise `Fault` unless `root/.git` is a repository, and put its configuration back if somebody changed it."""
    repository = os.path.join(root, ".git")
    try:
        kind = os.lstat(repository).st_mode
        head = os.lstat(os.path.join(repository, "HEAD")).st_mode
        objects = os.lstat(os.path.join(repository, "objects")).st_mode
    except OSError as error:
        raise Fault(faults.DAMAGED, f"the repository of the workspace {shown(root)} is gone or damaged (.git)") from error
    if not (stat.S_ISDIR(kind) and stat.S_ISREG(head) and stat.S_ISDIR(objects)):
        raise Fault(faults.DAMAGED, f"the repository of the workspace {shown(root)} was replaced by something else (.git)")
    config = os.path.join(repository, "config")
    found = _small_text(config)
    wanted = [config_text(name) for name in ("sha1", "sha256")]
    if found not in wanted:
        write_config(root, "sha256" if "objectformat = sha256" in found.lower() else "sha1")


def _small_text(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(65536).decode("utf-8", "replace")


@contextlib.contextmanager
def locked(root: str) -> Iterator[None]:
    """Only one process changes the repository at a time; locks left behind by a dead git are cleared.

    The kernel lets go of this lock when its holder dies, so a `*.lock` file found while holding it belongs to nobody.
    """
    descriptor = os.open(f"{root}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _wait_for(descriptor, root)
        check_repository(root)
        _clear_stale_locks(os.path.join(root, ".git"))
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, root: str) -> None:
    give_up = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > give_up:
                raise Fault(faults.GIT, f"the workspace {shown(root)} is busy with another git command; try again later") from error
            time.sleep(0.05)
        else:
            return


def _clear_stale_locks(repository: str) -> None:
    for name in ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(repository, name))
    for directory, _, names in os.walk(os.path.join(repository, "refs", "heads")):
        for name in names:
            if name.endswith(".lock"):
                os.unlink(os.path.join(directory, name))
