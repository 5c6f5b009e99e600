"""A simulated router and the driver connected to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from executor_tui.domain.clock import ManualClock
from executor_tui.infra.routeros.router import RouterOs
from executor_tui.infra.routeros.target import RouterOsTarget
from executor_tui.lab.routeros.simulator import RouterOsSimulator

StartRouter = Callable[..., Awaitable[RouterOsSimulator]]
Dial = Callable[..., Awaitable[RouterOs]]


def target_of(router: RouterOsSimulator, **changes: object) -> RouterOsTarget:
    values: dict[str, object] = {
        "name": "office",
        "host": router.host,
        "port": router.port,
        "username": "admin",
        "password": "admin",
        "tls": router.tls is not None,
        "fingerprint": router.fingerprint,
    }
    return RouterOsTarget(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def start(clock: ManualClock) -> AsyncIterator[StartRouter]:
    """Starts simulated routers with any options; all are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def begin(**options: object) -> RouterOsSimulator:
            options.setdefault("clock", clock)
            return await stack.enter_async_context(RouterOsSimulator(**options))  # type: ignore[arg-type]

        yield begin


@pytest.fixture
async def device(start: StartRouter) -> RouterOsSimulator:
    """A 7.24 router without TLS; the tests about TLS start their own."""
    return await start()


@pytest.fixture
async def dial(clock: ManualClock) -> AsyncIterator[Dial]:
    """Connects the driver to a router; every connection is closed at the end."""
    opened: list[RouterOs] = []

    async def connect(router: RouterOsSimulator, **changes: object) -> RouterOs:
        connection = await RouterOs.open(target_of(router, **changes), clock)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        await connection.close()


@pytest.fixture
async def router(device: RouterOsSimulator, dial: Dial) -> RouterOs:
    return await dial(device)
