"""The helper on another machine, over SSH with a pinned host key.

The helper's source goes in through stdin each time, so nothing is installed there and nothing there can be swapped for something else.
Python 3.9 and git are all the machine needs.
"""

import asyncio
import contextlib
import functools
import json
import shlex
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import asyncssh

from executor_tui.workspaces import inside, talk
from executor_tui.workspaces.base import OnOutput
from executor_tui.workspaces.errors import UnreachableError, WorkspaceError
from executor_tui.workspaces.inside.faults import shown

CONNECT_TIMEOUT_S = 20.0
KEEPALIVE_S = 15.0
KEEPALIVE_MISSES = 3
ENDING_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 630.0
PIECE_BYTES = 256 * 1024
NOT_TWICE = frozenset(("edit",))

MODULES = ("faults", "files", "git", "exchange", "repository", "searching", "job", "wire", "capture", "proctree", "disk", "runner", "serve")
_Process = asyncssh.SSHClientProcess[bytes]
_PACKAGES = ("executor_tui", "executor_tui.workspaces", "executor_tui.workspaces.inside")
_START = f"""
import json, sys, types
for name in {_PACKAGES!r}:
    sys.modules[name] = types.ModuleType(name); sys.modules[name].__path__ = []
inside = sys.modules[name]
for short, text in json.loads(sys.stdin.buffer.readline()):
    module = types.ModuleType(name + "." + short)
    sys.modules[module.__name__] = module
    exec(compile(text, short + ".py", "exec"), module.__dict__)
    setattr(inside, short, module)
inside.serve.main()
"""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A machine to work on.

    `host_key` is its public host key as one line of OpenSSH ("ssh-ed25519 AAAA…"); any other key is refused. `private_key` is ours, in
    OpenSSH or PEM form, and is kept out of every repr.
    """

    host: str
    host_key: str
    private_key: str = field(repr=False)
    username: str = "root"
    port: int = 22

    def __str__(self) -> str:
        return f"{self.username}@{self.host}" + ("" if self.port == 22 else f":{self.port}")


class LostError(UnreachableError):
    """The connection or the helper went away before the answer came; what was asked for may have happened or not."""


class SshLink:
    """One connection, opened when it is needed and again after it was lost.

    Short operations go one after the other through a helper that stays; a command or a search has a helper of its own, which dies with it.
    """

    def __init__(self, target: SshTarget) -> None:
        self.target = target
        self._connection: asyncssh.SSHClientConnection | None = None
        self._opening = asyncio.Lock()
        self._steady: _Process | None = None
        self._turn = asyncio.Lock()

    async def ask(self, op: str, args: Mapping[str, object], *, data: BinaryIO | None = None, on_data: talk.OnData | None = None) -> object:
        """Do one short operation there; `data` follows the request.

        After a lost connection it is tried once more, unless doing it twice would not be the same as doing it once.
        """
        async with self._turn:
            try:
                return await self._ask_steady(op, args, data, on_data)
            except LostError:
                if op in NOT_TWICE or on_data is not None:
                    raise
                if data is not None:
                    data.seek(0)
                return await self._ask_steady(op, args, data, on_data)

    async def ask_alone(
        self, op: str, args: Mapping[str, object], *, on_output: OnOutput | None = None, timeout_s: float = ANSWER_TIMEOUT_S
    ) -> object:
        """Do one operation in a helper of its own. Cancelling ends what it started there."""
        process = await self._start()
        try:
            return await self._converse(process, op, args, timeout_s, on_output=on_output)
        finally:
            await asyncio.shield(asyncio.ensure_future(_finish(process)))

    async def close(self) -> None:
        """Close the connection."""
        steady, self._steady = self._steady, None
        connection, self._connection = self._connection, None
        if steady is not None:
            await _finish(steady)
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    async def _ask_steady(self, op: str, args: Mapping[str, object], data: BinaryIO | None, on_data: talk.OnData | None) -> object:
        await self._connected()
        process, self._steady = self._steady, None
        if process is None or process.exit_status is not None:
            process = await self._start()
        kept = False
        try:
            answer = await self._converse(process, op, args, ANSWER_TIMEOUT_S, data=data, on_data=on_data)
            kept = True
            return answer
        except UnreachableError:
            raise
        except WorkspaceError:
            kept = data is None and on_data is None
            raise
        finally:
            if kept:
                self._steady = process
            else:
                await asyncio.shield(asyncio.ensure_future(_finish(process)))

    async def _start(self) -> _Process:
        """A new helper. A connection may be found dead only now; nothing was asked for yet, so another one will do."""
        for last in (False, True):
            connection = await self._connected()
            try:
                process = await connection.create_process(_command(), encoding=None)
                process.stdin.write(await asyncio.to_thread(sources))
            except (asyncssh.Error, OSError) as error:
                self._forget()
                if last:
                    raise LostError(f"the connection to {self.target} was lost: {_reason(error)}") from error
            else:
                return process
        raise AssertionError("unreachable")

    async def _connected(self) -> asyncssh.SSHClientConnection:
        async with self._opening:
            if self._connection is None or self._connection.is_closed():
                self._forget()
                self._connection = await connect(self.target)
            return self._connection

    def _forget(self) -> None:
        """Drop a dead connection and the helper that went with it."""
        self._connection = self._steady = None

    async def _converse(
        self,
        process: _Process,
        op: str,
        args: Mapping[str, object],
        timeout_s: float,
        *,
        data: BinaryIO | None = None,
        on_output: OnOutput | None = None,
        on_data: talk.OnData | None = None,
    ) -> object:
        try:
            async with asyncio.timeout(timeout_s):
                await _send(process, talk.request(op, args), data)
                return await talk.reply(_chunks(process.stdout), on_output, on_data)
        except TimeoutError as error:
            raise UnreachableError(f"{self.target} gave no answer to {op} within {timeout_s:.0f} s") from error
        except UnreachableError as error:
            raise await self._explained(process) from error
        except (asyncssh.Error, OSError) as error:
            self._forget()
            raise LostError(f"the connection to {self.target} was lost: {_reason(error)}") from error

    async def _explained(self, process: _Process) -> UnreachableError:
        """Why the helper gave no answer, from what it left on stderr."""
        said = b""
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(ENDING_TIMEOUT_S):
                process.stdin.write_eof()
                said = await process.stderr.read(65536)
                await process.wait_closed()
        if process.exit_status == 127:
            return UnreachableError(f"{self.target} has no python3", hint="install python3 and git there")
        lines = said.decode("utf-8", "replace").strip().splitlines()
        if lines:
            return UnreachableError(f"the helper on {self.target} failed: {shown(lines[-1])}")
        return LostError(f"the connection to {self.target} was lost in the middle of an operation")


async def connect(target: SshTarget) -> asyncssh.SSHClientConnection:
    """Open a connection that trusts exactly the pinned host key and offers exactly our key; raises `UnreachableError`."""
    try:
        trusted, ours = asyncssh.import_public_key(target.host_key), asyncssh.import_private_key(target.private_key)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise UnreachableError(f"the keys for {target} cannot be read: {shown(str(error))}") from error
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncssh.connect(
                target.host,
                target.port,
                username=target.username,
                known_hosts=([trusted], [], []),
                client_keys=[ours],
                agent_path=None,
                config=None,
                preferred_auth="publickey",
                keepalive_interval=KEEPALIVE_S,
                keepalive_count_max=KEEPALIVE_MISSES,
            )
    except asyncssh.HostKeyNotVerifiable as error:
        hint = "if the machine was rebuilt on purpose, pin its new key; if not, somebody stands in between"
        raise UnreachableError(
            f"{target} shows another host key than the pinned {trusted.get_fingerprint()}; refused", hint=hint
        ) from error
    except asyncssh.PermissionDenied as error:
        raise UnreachableError(
            f"{target} refuses our key {ours.get_fingerprint()}", hint="put the public key in authorized_keys"
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise UnreachableError(f"{target} cannot be reached: {_reason(error)}") from error


async def host_key_of(host: str, port: int = 22) -> str:
    """The host key a machine shows now, to be pinned at first contact over a network one trusts; raises `UnreachableError`."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            key = await asyncssh.get_server_host_key(host, port, config=None)
    except (asyncssh.Error, OSError) as error:
        raise UnreachableError(f"{host} cannot be reached: {_reason(error)}") from error
    if key is None:
        raise UnreachableError(f"{host} shows no host key")
    return key.export_public_key().decode("ascii").strip()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
    return shown(str(error) or type(error).__name__)


def _command() -> str:
    return f"exec python3 -I -S -c {shlex.quote(_START)}"


@functools.cache
def sources() -> bytes:
    """The helper as the line its start reads: names and texts in the order they must be loaded."""
    directory = Path(next(iter(inside.__path__)))
    texts = [(name, (directory / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    return json.dumps(texts).encode("ascii") + b"\n"


async def _send(process: _Process, line: bytes, data: BinaryIO | None) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(line)
        while data is not None and (piece := await asyncio.to_thread(data.read, PIECE_BYTES)):
            process.stdin.write(piece)
            await process.stdin.drain()


async def _chunks(stream: asyncssh.SSHReader[bytes]) -> AsyncIterator[bytes]:
    while chunk := await stream.read(PIECE_BYTES):
        yield chunk


async def _finish(process: _Process) -> None:
    """End the helper's input, which ends what it runs, and wait until it is gone; give the channel up when it does not go."""
    with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
        async with asyncio.timeout(ENDING_TIMEOUT_S):
            if not process.stdin.is_closing():
                process.stdin.write_eof()
            while await process.stdout.read(PIECE_BYTES):
                pass
            await process.wait_closed()
            return
    process.close()
