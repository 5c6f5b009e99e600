"""The console as a process on a real terminal: what it draws, what it leaves behind, and what a lost line does."""

import asyncio
import contextlib
import os
import pty
import signal
import sys
import termios
from collections.abc import AsyncIterator

import pytest
from seed import seed

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url
from executor_tui.ui import lastscreen
from executor_tui.ui.lastscreen import LastScreen

WAIT_S = 60
LFLAG = 3


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    """A lively fleet, with a node that leads, and nothing that asks by itself."""
    found = await Store.open(default_url(places.state_dir), SystemClock())
    await seed(found)
    for approval in await found.approvals.pending():
        await found.approvals.cancel(approval.id, "not needed here")
    yield found
    await found.close()


class Terminal:
    """A pseudo-terminal of 80×24 with the console on it. `text` is everything drawn so far."""

    def __init__(self, places: Places, *options: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "executor_tui.cli.main",
            "--config",
            str(places.config_dir),
            "--state",
            str(places.state_dir),
        ]
        self._command += options
        self.text = ""
        self._more = asyncio.Event()

    async def open(self, typed: bytes = b"") -> None:
        """Start the console; `typed` is in the terminal before it is."""
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        os.write(self.master, typed)
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | {"TERM": "xterm-256color"}
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True, preexec_fn=_own_terminal,
        )  # fmt: skip
        self.slave = slave
        os.set_blocking(self.master, False)
        asyncio.get_running_loop().add_reader(self.master, self._read)

    def _read(self) -> None:
        try:
            self.text += os.read(self.master, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)
        self._more.set()

    async def see(self, text: str, since: int = 0) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                while text not in self.text[since:]:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"never seen: {text}; at last: {self.text[-1500:]!r}") from None

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def hang_up(self) -> None:
        """The line is gone: the other end of the terminal closes."""
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    async def end(self) -> int:
        return await asyncio.wait_for(self.process.wait(), WAIT_S)

    async def close(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                asyncio.get_running_loop().remove_reader(descriptor)
                os.close(descriptor)


def _own_terminal() -> None:
    import fcntl

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextlib.asynccontextmanager
async def a_console(places: Places, *options: str, typed: bytes = b"") -> AsyncIterator[Terminal]:
    terminal = Terminal(places, *options)
    await terminal.open(typed)
    try:
        yield terminal
    finally:
        await terminal.close()


async def test_the_last_screen_comes_first_and_keys_typed_before_it_are_not_lost(places: Places, store: Store) -> None:
    kept = LastScreen("fleet", "2026-11-21T12:00:00+00:00", 80, [f"kept line {n}" for n in range(24)])
    lastscreen.write(str(places.state_dir), kept)
    async with a_console(places, typed=b"2\n") as terminal:
        await terminal.see("kept line 5")
        assert "21 Nov 2026" in terminal.text and "Fleet" not in terminal.text
        await terminal.see("they share this pool's quota")
        terminal.type("q")
        assert await terminal.end() == 0


async def test_the_terminal_is_left_as_it_was_found(places: Places, store: Store) -> None:
    async with a_console(places) as terminal:
        await terminal.see("coder-001")
        assert not termios.tcgetattr(terminal.slave)[LFLAG] & termios.ECHO
        terminal.type("q")
        assert await terminal.end() == 0
        assert termios.tcgetattr(terminal.slave)[LFLAG] & termios.ECHO
        assert termios.tcgetattr(terminal.slave)[LFLAG] & termios.ICANON
        assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("\x1b[?1049h")
        assert "Traceback" not in terminal.text


async def test_a_lost_line_ends_the_console_and_nobody_stands_as_attached(places: Places, store: Store) -> None:
    async with a_console(places) as terminal:
        await terminal.see("coder-001")
        await _operators(store, 1)
        terminal.hang_up()
        await terminal.end()
        assert await store.operators.present() == ()
        assert not (places.state_dir / "console-crash.log").exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly(places: Places, store: Store, number: int) -> None:
    async with a_console(places) as terminal:
        await terminal.see("coder-001")
        terminal.process.send_signal(number)
        assert await terminal.end() == 0
        assert await store.operators.present() == ()
        assert terminal.text.rindex("\x1b[?1049l") > terminal.text.rindex("\x1b[?1049h")


async def test_a_state_directory_that_cannot_be_used_is_one_line_on_a_clean_terminal(places: Places) -> None:
    places.state_dir.rmdir()
    places.state_dir.write_text("a file")
    async with a_console(places) as terminal:
        assert await terminal.end() == 1
        said = terminal.text[terminal.text.rindex("\x1b[?1049l") :]
        assert "executor: " in said and "console.log cannot be written" in said and "Traceback" not in terminal.text


async def _operators(store: Store, count: int) -> None:
    async with asyncio.timeout(WAIT_S), contextlib.aclosing(store.feed()) as feed:
        async for _ in feed:
            if len(await store.operators.present()) == count:
                return
