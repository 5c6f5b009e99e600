"""A lab lasts as long as somebody looks at it, and a little longer."""

from executor_tui.config.places import Places
from executor_tui.domain.clock import ManualClock
from executor_tui.domain.node import Operator
from executor_tui.lab.abandoned import ABANDONED_AFTER_S, LOOK_EVERY_S, until_abandoned
from executor_tui.store.store import Store, default_url

LOOKED_AT_S = 3 * ABANDONED_AFTER_S


class Visited(ManualClock):
    """Time passes as soon as somebody waits for it; a console is attached for the first `LOOKED_AT_S` of it."""

    store: Store
    waited_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.waited_s += seconds
        self._move_to(self._monotonic_s + seconds)
        if self.waited_s <= LOOKED_AT_S:
            await self.store.operators.attach(Operator("opr-1", "anna", "ssh", "fleet"))


async def test_it_ends_a_while_after_the_last_one_left(places: Places) -> None:
    clock = Visited()
    clock.store = await Store.open(default_url(places.state_dir), clock)
    await until_abandoned(clock.store, clock)
    assert LOOKED_AT_S + ABANDONED_AFTER_S <= clock.waited_s <= LOOKED_AT_S + ABANDONED_AFTER_S + 3 * LOOK_EVERY_S
    await clock.store.close()
