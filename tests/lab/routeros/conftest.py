"""A bare API client and a running simulator for the tests of the simulator itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from executor_tui.domain.clock import ManualClock
from executor_tui.lab.routeros.simulator import RouterOsSimulator
from executor_tui.lab.routeros.wire import encode_sentence, read_sentence

Sentence = list[str]


class BareClient:
    """Sends sentences as given and hands back replies as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *words: str) -> None:
        self.writer.write(encode_sentence(words))
        await self.writer.drain()

    async def read(self) -> Sentence:
        return await asyncio.wait_for(read_sentence(self.reader, max_bytes=2**24), 10)

    async def say(self, *words: str) -> list[Sentence]:
        """Everything up to and with `!done` or `!fatal`."""
        await self.send(*words)
        replies: list[Sentence] = []
        while not replies or replies[-1][0] not in ("!done", "!fatal"):
            replies.append(await self.read())
        return replies

    async def rows(self, *words: str) -> list[dict[str, str]]:
        return [attributes(sentence) for sentence in await self.say(*words) if sentence[0] == "!re"]

    async def trap(self, *words: str) -> dict[str, str]:
        """The attributes of the trap a command must end in."""
        replies = await self.say(*words)
        assert [sentence[0] for sentence in replies] == ["!trap", "!done"], replies
        return attributes(replies[0])

    async def add(self, path: str, **values: str) -> str:
        """Add an item; underscores in names stand for dashes. Gives its `.id`."""
        words = [f"={name.replace('_', '-')}={value}" for name, value in values.items()]
        replies = await self.say(f"{path}/add", *words)
        assert replies[-1][0] == "!done" and len(replies) == 1, replies
        return attributes(replies[-1])["ret"]

    async def ended(self) -> bool:
        """Whether the router closed the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()


def attributes(sentence: Sentence) -> dict[str, str]:
    return dict(word[1:].split("=", 1) for word in sentence if word.startswith("="))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[RouterOsSimulator]]]:
    """Starts simulators with any options; all are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def begin(**options: object) -> RouterOsSimulator:
            options.setdefault("clock", ManualClock())
            return await stack.enter_async_context(RouterOsSimulator(**options))  # type: ignore[arg-type]

        yield begin


@pytest.fixture
async def router(start: Callable[..., Awaitable[RouterOsSimulator]], clock: ManualClock) -> RouterOsSimulator:
    """A 7.24 router with one account, admin/admin."""
    return await start(clock=clock)


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[BareClient]]]:
    """Opens connections, logged in unless told otherwise; all are closed at the end."""
    clients: list[BareClient] = []

    async def dial(router: RouterOsSimulator, user: str | None = "admin", password: str = "admin") -> BareClient:
        client = BareClient(*await asyncio.open_connection(router.host, router.port))
        clients.append(client)
        if user is not None:
            assert (await client.say("/login", f"=name={user}", f"=password={password}")) == [["!done"]]
        return client

    yield dial
    for client in clients:
        await client.close()


@pytest.fixture
async def client(router: RouterOsSimulator, connect: Callable[..., Awaitable[BareClient]]) -> BareClient:
    return await connect(router)
