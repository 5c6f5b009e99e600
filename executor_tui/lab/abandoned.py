"""A lab whose console is gone for good must not simulate for ever: it ends once nobody has looked at it for a while."""

from executor_tui.domain.clock import Clock
from executor_tui.store.store import Store

LOOK_EVERY_S = 30.0
ABANDONED_AFTER_S = 600.0
"""A dropped connection is come back to within this; a console that looks on says so every few seconds."""


async def until_abandoned(store: Store, clock: Clock, after_s: float = ABANDONED_AFTER_S) -> None:
    """Return when no console has been attached for `after_s` seconds of monotonic time, the first ones included. Raises StoreError."""
    last_seen_s = clock.monotonic_s()
    while clock.monotonic_s() - last_seen_s < after_s:
        await clock.sleep(LOOK_EVERY_S)
        if await store.operators.present(within_s=2 * LOOK_EVERY_S):
            last_seen_s = clock.monotonic_s()
