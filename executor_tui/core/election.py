"""Leadership: exactly one node leads, by a lease with a fencing number in the store.

A node that was stopped past its lease finds a higher number when it wakes, and each of its writes carries the old one: they are refused.
"""

import logging

from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import StoreError
from executor_tui.domain.node import Lease
from executor_tui.store.database import LEADER
from executor_tui.store.nodes import Leases

log = logging.getLogger(__name__)


class Election:
    """This node's part in it. Call `campaign` every heartbeat."""

    def __init__(self, leases: Leases, clock: Clock, node_id: str, ttl_s: float, name: str = LEADER) -> None:
        self._leases, self._clock, self._node_id, self._ttl_s, self._name = leases, clock, node_id, ttl_s, name
        self._lease: Lease | None = None
        self._renewed_monotonic_s = 0.0

    @property
    def lease(self) -> Lease | None:
        """The lease while we may believe that we lead. It runs out by monotonic time: a wall clock set back keeps nobody in office."""
        if self._lease is None or self._clock.monotonic_s() - self._renewed_monotonic_s > self._ttl_s:
            return None
        return self._lease

    @property
    def leads(self) -> bool:
        return self.lease is not None

    async def campaign(self) -> bool:
        """Take or renew the lease; says whether this call made us leader anew. Without the store there is no leadership."""
        before, started = self.lease, self._clock.monotonic_s()
        try:
            self._lease = await self._leases.take(self._node_id, self._ttl_s, self._name)
        except StoreError as exc:
            log.warning("lease not renewed: %s", exc.message)
            return False
        self._renewed_monotonic_s = started
        gained = self._lease is not None and (before is None or before.fencing != self._lease.fencing)
        if before is not None and self._lease is None:
            log.warning("%s no longer holds the lease %s", self._node_id, self._name)
        return gained

    async def resign(self) -> None:
        """Give the lease back at a clean stop."""
        if self._lease is not None:
            await self._leases.release(self._lease)
            self._lease = None
