"""What local and remote workspaces share: the protocol's methods in terms of one operation beside the tree."""

import shlex
from datetime import UTC, datetime
from typing import cast

from executor_tui.workspaces.base import Command, Commit, Match, RunResult, Toolchain
from executor_tui.workspaces.errors import CommandRefusedError
from executor_tui.workspaces.inside import repository, searching
from executor_tui.workspaces.inside.faults import shown

MAX_COMMAND_BYTES = 100_000


class Tree:
    """Files and history of one tree. A subclass says where the tree is (`_place`) and how to reach it (`_call`)."""

    @property
    def _place(self) -> str:
        """The path of the tree on the machine that holds it."""
        raise NotImplementedError

    async def _call(self, op: str, **args: object) -> object:
        """Do one operation beside the tree."""
        raise NotImplementedError

    async def read(self, path: str, first_line: int = 1, last_line: int | None = None) -> str:
        """See `Workspace.read`."""
        return str(await self._call("read", root=self._place, path=path, first_line=first_line, last_line=last_line))

    async def write(self, path: str, text: str) -> None:
        """See `Workspace.write`."""
        await self._call("write", root=self._place, path=path, text=text)

    async def edit(self, path: str, old: str, new: str) -> int:
        """See `Workspace.edit`."""
        return cast("int", await self._call("edit", root=self._place, path=path, old=old, new=new))

    async def search(self, pattern: str, glob: str = "") -> list[Match]:
        """See `Workspace.search`."""
        rows = cast("list[searching.MatchRow]", await self._call("search", root=self._place, pattern=pattern, glob=glob))
        return [Match(row["path"], row["line"], row["text"]) for row in rows]

    async def list_files(self, glob: str = "") -> list[str]:
        """See `Workspace.list_files`."""
        return cast("list[str]", await self._call("list_files", root=self._place, glob=glob))

    async def commit(self, message: str, role: str = "") -> str:
        """See `Workspace.commit`."""
        author = f"Executor {role}".strip()
        return str(await self._call("commit", root=self._place, message=message, author=author))

    async def head(self) -> str:
        """See `Workspace.head`."""
        return str(await self._call("head", root=self._place))

    async def reset_to(self, sha: str) -> str:
        """See `Workspace.reset_to`."""
        return str(await self._call("reset_to", root=self._place, revision=sha))

    async def log(self, limit: int = 100) -> list[Commit]:
        """See `Workspace.log`."""
        return commits_of(await self._call("log", root=self._place, limit=limit))

    async def diff(self, old: str, new: str = "HEAD") -> str:
        """See `Workspace.diff`."""
        return str(await self._call("diff", root=self._place, old=old, new=new))


def commits_of(value: object) -> list[Commit]:
    """The commits in a reply to `log`."""
    rows = cast("list[repository.CommitRow]", value)
    return [Commit(row["sha"], row["author"], datetime.fromtimestamp(row["time_s"], UTC), row["subject"], row["step"]) for row in rows]


def words_of(command: Command, shell: str) -> list[str]:
    """The argument list of a command; a string goes to `shell`."""
    words = [shell, "-c", command] if isinstance(command, str) else list(command)
    if not words or not words[0] or (isinstance(command, str) and not command.strip()):
        raise CommandRefusedError("the command is empty")
    if any("\0" in word for word in words):
        raise CommandRefusedError("the command holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for word in words for character in word):
        raise CommandRefusedError("the command holds half a character (a lone surrogate)")
    size = sum(len(word.encode()) for word in words)
    if size > MAX_COMMAND_BYTES:
        raise CommandRefusedError(f"the command has {size} bytes, more than {MAX_COMMAND_BYTES}; write a script file and run that")
    return words


def shown_command(command: Command) -> str:
    """The command as one line for people and evidence."""
    return shown(command if isinstance(command, str) else shlex.join(command), 2000)


LOOKED_FOR = (
    "python3",
    "pip",
    "pytest",
    "node",
    "npm",
    "npx",
    "git",
    "gcc",
    "g++",
    "make",
    "cmake",
    "cargo",
    "go",
    "java",
    "ruby",
    "php",
    "perl",
    "sqlite3",
    "curl",
    "rg",
)
TOOL_SCRIPT = f"""
for name in {" ".join(LOOKED_FOR)}; do path=$(command -v "$name" 2>/dev/null) && printf 'tool\\t%s\\t%s\\n' "$name" "$path"; done
python3 -c 'import platform, importlib.util as u; print("python", platform.python_version(), u.find_spec("pytest") is not None, sep="\\t")'
"""


def tools_in(result: RunResult) -> Toolchain:
    """Read the output of `TOOL_SCRIPT`."""
    commands: dict[str, str] = {}
    version, pytest = "", False
    for line in result.output.splitlines():
        fields = line.split("\t")
        if fields[0] == "tool" and len(fields) == 3:
            commands[fields[1]] = fields[2]
        elif fields[0] == "python" and len(fields) == 3:
            version, pytest = fields[1], fields[2] == "True"
    return Toolchain(commands, version, pytest)
