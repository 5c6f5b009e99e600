"""The command line of the sandbox: bubblewrap, told to show a command nothing but the system's programs and the workspace.

What is measured behind the choices:

* Run by root, bubblewrap would leave the command with user id 0 of the host. Files under /proc/sys check the user id, not
  capabilities, so such a command could open /proc/sys/kernel/core_pattern for writing and have the kernel run a program of its choice as
  real root. Root therefore hands the command to an unprivileged user id (setpriv(1)), which is also what makes a limit on processes hold.
* bubblewrap's root directory and /dev are writable memory without a bound; both are made read-only, and /tmp, /dev/shm and the home
  directory are directories on disk, where growth is seen.
* Directories bubblewrap makes on the way to a mount are 0700, so they are made explicitly with 0755.
* `.git` is mounted read-only: hooks and configuration cannot be planted for the git that runs outside.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from executor_tui.workspaces import seccomp
from executor_tui.workspaces.inside.job import FILTER_FD, STATUS_FD

TREE = "/workspace"
HOME = "/home/agent"
USER = "agent"
DEFAULT_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
SYSTEM_DIRECTORIES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
PROCESS_SLACK = 8
FIRST_UID = 61184
UIDS = 4000

ETC_READ_ONLY = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """How commands are confined on this machine, found once by `probe.probe`.

    `leave_root` says that Executor runs as root, so each command becomes an unprivileged user of its workspace's own. `python_prefixes` are
    the directories of the Python that runs Executor, shown read-only so that `python3` inside is the same one. `extra_read_only` adds
    toolchains. `machine` is the architecture the system call filter is for.
    """

    bwrap: str
    version: tuple[int, ...] = (0,)
    leave_root: bool = False
    python_prefixes: tuple[str, ...] = ()
    python_bin: tuple[str, ...] = ()
    extra_read_only: tuple[str, ...] = ()
    shell: str = "/bin/sh"
    machine: str = ""

    def command_line(
        self, tree: Path, scratch: Path, argv: Sequence[str], processes: int, more: Sequence[tuple[str, str]] = ()
    ) -> list[str]:
        """The words that run `argv` confined to `tree`; `scratch` holds the directories made by `prepare_scratch`.

        `more` are variables of the environment on top of the plain ones.
        """
        return [
            self.bwrap,
            *self._namespaces(),
            *_system_mounts(),
            *_etc_mounts(scratch),
            *_scratch_mounts(scratch),
            *_shown_read_only((*self.python_prefixes, *self.extra_read_only)),
            *_words("--bind", str(tree), TREE, "--ro-bind", str(tree / ".git"), f"{TREE}/.git"),
            *_words("--remount-ro", "/dev", "--remount-ro", "/"),
            *_words("--chdir", TREE, "--clearenv"),
            *self._environment(dict(more)),
            *_words("--json-status-fd", STATUS_FD),
            *(_words("--seccomp", FILTER_FD) if seccomp.known(self.machine) else []),
            "--",
            *self._descent(tree, processes),
            *argv,
        ]

    @property
    def filter(self) -> bytes:
        """The system call filter for this machine, empty where none is written."""
        return seccomp.program(self.machine) if seccomp.known(self.machine) else b""

    def _namespaces(self) -> list[str]:
        words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        words += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
        if self.leave_root:
            return [*words, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        no_more = ["--disable-userns"] if self.version >= (0, 8) else []
        return ["--unshare-user", *no_more, *words]

    def _environment(self, more: Mapping[str, str]) -> list[str]:
        path = ":".join((*self.python_bin, *DEFAULT_PATH))
        values = {"PATH": path, "HOME": HOME, "USER": USER, "LOGNAME": USER, "SHELL": self.shell, **plain_environment()}
        values |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", **more}
        return [word for name, value in values.items() for word in ("--setenv", name, value)]

    def _descent(self, tree: Path, processes: int) -> list[str]:
        """What stands between bubblewrap and the command: leaving root, and the limit on processes where the kernel keeps it.

        Inside its user namespace (or with its own user id) the count is of this command alone since Linux 5.14, setrlimit(2).
        """
        count = ["prlimit", f"--nproc={processes + PROCESS_SLACK}", "--"]
        if not self.leave_root:
            return count
        uid = uid_of(tree)
        return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--inh-caps=-all", "--", *count]


def plain_environment() -> dict[str, str]:
    """What every command gets on top of PATH and HOME.

    Python writes no bytecode: a cached file is matched by size and whole seconds, so two quick edits of one length would run the old code.
    """
    return {
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "NO_COLOR": "1",
        "CI": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _words(*words: str) -> list[str]:
    return list(words)


def _system_mounts() -> list[str]:
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM_DIRECTORIES:
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            words += ["--ro-bind", name, name]
    return [*words, "--proc", "/proc", "--dev", "/dev"]


def _etc_mounts(scratch: Path) -> list[str]:
    words = _words("--perms", "0755", "--dir", "/etc")
    for name in ("passwd", "group", "hosts"):
        words += ["--ro-bind", str(scratch / "etc" / name), f"/etc/{name}"]
    made: set[str] = {"/etc"}
    for name in ETC_READ_ONLY:
        words += [*_parents(name, made), "--ro-bind-try", name, name]
    return words


def _shown_read_only(paths: Sequence[str]) -> list[str]:
    words: list[str] = []
    made: set[str] = set()
    for path in paths:
        words += [*_parents(path, made), "--ro-bind", path, path]
    return words


def _parents(path: str, made: set[str]) -> list[str]:
    """Directories on the way to a mount point, readable by everybody inside."""
    words: list[str] = []
    for parent in reversed(Path(path).parents):
        name = str(parent)
        if name != "/" and name not in made:
            made.add(name)
            words += ["--perms", "0755", "--dir", name]
    return words


def _scratch_mounts(scratch: Path) -> list[str]:
    words = _words("--bind", str(scratch / "tmp"), "/tmp", "--bind", str(scratch / "shm"), "/dev/shm")  # noqa: S108
    return [*words, "--perms", "0755", "--dir", "/home", "--bind", str(scratch / "home"), HOME]


def uid_of(tree: Path) -> int:
    """The user id of commands in `tree` when Executor is root: one per workspace, always the same, from systemd's dynamic range.

    That range (61184 to 65519, systemd's UIDS-GIDS document) is never given to people, and exists in unprivileged containers too.
    """
    return FIRST_UID + zlib.crc32(str(tree).encode()) % UIDS


def prepare_scratch(tree: Path, scratch: Path, leave_root: bool) -> None:
    """Make the home, /tmp, /dev/shm and /etc of a sandbox, the first three owned by the user its commands become."""
    uid = uid_of(tree) if leave_root else os.getuid()
    scratch.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in ("home", "tmp", "shm", "etc"):
        (scratch / name).mkdir(mode=0o755, exist_ok=True)
        if leave_root and name != "etc":
            os.chown(scratch / name, uid, uid, follow_symlinks=False)
    _write_etc(scratch / "etc", uid)


def _write_etc(directory: Path, uid: int) -> None:
    files = {
        "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{uid}:{uid}:{USER}:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        "group": f"root:x:0:\n{USER}:x:{uid}:\nnogroup:x:65534:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
