"""One connection: reads sentences, runs each command on its own, and writes replies as they come."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from executor_tui.lab.routeros.call import Call, Caller
from executor_tui.lab.routeros.dispatch import execute, is_write
from executor_tui.lab.routeros.errors import INTERRUPTED, FatalError, TrapError
from executor_tui.lab.routeros.faults import Faults
from executor_tui.lab.routeros.login import Login
from executor_tui.lab.routeros.safe_mode import SafeMode
from executor_tui.lab.routeros.sentences import (
    Command,
    Words,
    done,
    empty,
    fatal,
    parse_command,
    row,
    rows,
    tag_of,
    trap,
)
from executor_tui.lab.routeros.state import Router
from executor_tui.lab.routeros.streams import Stream, stream_for
from executor_tui.lab.routeros.wire import WireError, encode_sentence, read_sentence

_LOGGER = logging.getLogger(__name__)
_BEFORE_LOGIN_BYTES = 4_096
_MAX_BYTES = 32 * 1024 * 1024


class Session:
    """A client's connection, from login to its end. Commands run concurrently; replies carry the tag of their command."""

    def __init__(
        self,
        number: int,
        router: Router,
        safe_mode: SafeMode,
        faults: Faults,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        via: str,
    ) -> None:
        self.number = number
        self._router = router
        self._safe_mode = safe_mode
        self._faults = faults
        self._reader = reader
        self._writer = writer
        self._via = via
        self._login = Login(router)
        self._caller: Caller | None = None
        self._running: dict[asyncio.Task[None], str | None] = {}
        self._leave: Callable[[], None] = lambda: None
        peer = writer.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else "unknown"

    async def serve(self) -> None:
        """Runs until the client leaves, the router closes the connection, or it is cut."""
        try:
            await self._read_commands()
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass  # the client went away: nothing to tell it
        except (FatalError, WireError) as error:
            await self._say_fatal(str(error))
        finally:
            await self._end()

    @property
    def _says_empty(self) -> bool:
        return self._router.version >= (7, 18) and not self._faults.no_empty

    def cut(self) -> None:
        """Drop the connection as a broken line would."""
        self._writer.transport.abort()

    async def _say_fatal(self, reason: str) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            await self._send([fatal(reason)])

    async def _end(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._safe_mode.session_gone(self.number)
        if self._caller is not None:
            self._leave()
            self._router.log("system,info,account", f"user {self._caller.user.name} logged out from {self._peer} via {self._via}")
        self._writer.close()

    async def _read_commands(self) -> None:
        while True:
            limit = _MAX_BYTES if self._caller else _BEFORE_LOGIN_BYTES
            words = await read_sentence(self._reader, max_bytes=limit)
            try:
                command = parse_command(words)
            except TrapError as error:
                await self._send([trap(error, tag_of(words)), done(tag_of(words))])
                continue
            if command.word == "/quit":
                raise FatalError("session terminated on request")
            if command.word == "/login":
                await self._log_in(command)
            elif self._caller is None:
                raise FatalError("not logged in")
            elif command.word == "/cancel":
                await self._cancel(command)
            else:
                self._start(command, self._caller)

    async def _log_in(self, command: Command) -> None:
        try:
            user, values = self._login.attempt(command.arguments, self._via, self._peer)
        except TrapError as error:
            await self._send([trap(error, command.tag), done(command.tag)])
            return
        if user is not None:
            self._caller = Caller(self.number, user, self._via)
            self._router.log("system,info,account", f"user {user.name} logged in from {self._peer} via {self._via}")
            self._enter(user.name, user.group)
        await self._send([done(command.tag, values)])

    def _enter(self, name: str, group: str) -> None:
        table = self._router.table("/user/active")
        when = self._router.clock.now().strftime("%Y-%m-%d %H:%M:%S")
        facts = {"when": when, "address": self._peer, "via": self._via, "group": group, "radius": "false"}
        entry = table.add({"name": name}, facts=facts)
        self._leave = lambda: table.remove(entry)

    def _start(self, command: Command, caller: Caller) -> None:
        task = asyncio.ensure_future(self._run(command, caller))
        self._running[task] = command.tag
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            if not isinstance(error, OSError):
                _LOGGER.error("a command failed inside the simulated router", exc_info=error)
            self.cut()

    async def _cancel(self, command: Command) -> None:
        wanted = command.arguments.get("tag")
        await asyncio.sleep(0)  # a command that has not begun yet could not answer that it was interrupted
        for task, tag in list(self._running.items()):
            if wanted is None or tag == wanted:
                task.cancel()
        await self._send([done(command.tag)])

    async def _run(self, command: Command, caller: Caller) -> None:
        call = Call(self._router, self._safe_mode, caller, command, execute)
        try:
            delay_s = self._faults.delay_s.get(command.word, 0.0)
            if delay_s:
                await self._router.clock.sleep(delay_s)
            stream = stream_for(call)
            if stream is not None:
                await self._follow(stream, call)
            else:
                await self._once(call)
        except TrapError as error:
            await self._send([trap(error, command.tag), done(command.tag)])
        except FatalError as error:
            await self._send([fatal(error.reason)])
            self._writer.close()
        except asyncio.CancelledError:
            interrupted = TrapError("interrupted", INTERRUPTED)
            with contextlib.suppress(ConnectionError, OSError):
                await self._send([trap(interrupted, command.tag), done(command.tag)])

    async def _follow(self, stream: Stream, call: Call) -> None:
        count = 0
        async for item in stream(call):
            await self._send([row(item, call.command.tag)])
            count += 1
        says_empty = not count and self._says_empty
        await self._send([*([empty(call.command.tag)] if says_empty else []), done(call.command.tag)])

    async def _once(self, call: Call) -> None:
        """Carry the command out in one go, with whatever fault is set for it."""
        command, faults = call.command, self._faults
        writes = is_write(command.word, command.verb)
        if faults.take_cut_before(command.word, is_write=writes):
            self.cut()
            return
        if command.word in faults.fatal:
            raise FatalError(faults.fatal[command.word])
        if command.word in faults.refuse:
            raise TrapError(faults.refuse[command.word], extra=faults.trap_extra)
        if command.word in faults.ignore:
            await self._send([done(command.tag)])
            return
        answer = execute(call)
        if faults.take_cut_after(command.word, is_write=writes):
            self.cut()
            return
        if answer.rows or answer.prints:
            says_empty = answer.prints and self._says_empty
            await self._send(rows(answer.rows, command.tag, says_empty=says_empty))
        else:
            await self._send([done(command.tag, answer.ret)])

    async def _send(self, sentences: list[Words]) -> None:
        if self._writer.is_closing():
            return
        self._writer.write(b"".join(encode_sentence(words) for words in sentences))
        await self._writer.drain()
