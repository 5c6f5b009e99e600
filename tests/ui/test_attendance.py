"""Who stands as attached: a console that goes while its arrival is still being written leaves nobody standing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from executor_tui.store.store import Store
from executor_tui.ui.attendance import Attendance, Identity
from executor_tui.ui.link import StoreLink


class Here:
    """A link whose store is on this loop."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.said: list[asyncio.Task[Any]] = []

    async def read(self, use: Callable[[Store], Awaitable[Any]]) -> Any:
        return await use(self.store)

    def last_words(self, use: Callable[[Store], Awaitable[object]]) -> None:
        async def say() -> None:
            await use(self.store)

        self.said.append(asyncio.get_running_loop().create_task(say()))


@pytest.fixture
def here(store: Store) -> Here:
    return Here(store)


@pytest.fixture
def attendance(here: Here) -> Attendance:
    return Attendance(cast("StoreLink", here), Identity("ana", "pts/3"))


async def test_an_operator_comes_moves_and_goes(attendance: Attendance, store: Store) -> None:
    await attendance.seen("fleet", "", False)
    await attendance.seen("hydra", "key-1", False)
    assert [(o.name, o.screen, o.looking_at) for o in await store.operators.present()] == [("ana", "hydra", "key-1")]
    await attendance.leave()
    assert await store.operators.present() == ()


@pytest.mark.parametrize("cut_short", [False, True])
async def test_leaving_while_the_arrival_is_being_written_leaves_nobody(attendance: Attendance, store: Store, cut_short: bool) -> None:
    async with store.db.write():  # the arrival waits for this writer
        arriving = asyncio.create_task(attendance.seen("fleet", "", False))
        await asyncio.sleep(0)
        if cut_short:
            arriving.cancel()
        leaving = asyncio.create_task(attendance.leave())
        await asyncio.sleep(0)
    await asyncio.gather(arriving, leaving, return_exceptions=True)
    assert await store.operators.present() == ()


async def test_a_console_that_ended_by_itself_is_taken_off_after_its_arrival(attendance: Attendance, here: Here, store: Store) -> None:
    async with store.db.write():
        arriving = asyncio.create_task(attendance.seen("fleet", "", False))
        await asyncio.sleep(0)
        attendance.part()
    await asyncio.gather(arriving, *here.said)
    assert await store.operators.present() == ()


async def test_one_who_has_left_does_not_arrive_again(attendance: Attendance, store: Store) -> None:
    await attendance.leave()
    await attendance.seen("fleet", "", False)
    assert await store.operators.present() == ()
