"""Keys, quota pools, sealed secrets, parks. No secret in the clear ever enters a row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, or_, select, update

from executor_tui.domain.errors import ConflictError
from executor_tui.domain.event import Event
from executor_tui.domain.key import Key, KeyState, Park, QuotaPool
from executor_tui.store import tables
from executor_tui.store.codec import to_row
from executor_tui.store.repository import Repository, record

KEYRING = "keyring"
"""Topic of changes to which keys there are and whether they may be used; "keys" also tells of what they cost, at every call."""


class Keys(Repository[Key]):
    table, cls, topic, noun = tables.keys, Key, "keys", "key"

    async def add(self, key: Key, pool: QuotaPool, ciphertext: bytes | None, scheme: str = "age") -> None:
        """Add a key, its quota pool if new, and its sealed secret, in one transaction. Raises ConflictError when the key is known."""
        if await self.by_fingerprint(key.fingerprint) is not None:
            raise ConflictError(f"this {key.provider} key (…{key.tail}) is already known")
        now = self.clock.now()
        async with self.db.write("keys", KEYRING, "events") as conn:
            await conn.execute(self.db.upsert(tables.quota_pools, to_row(pool)))
            await conn.execute(insert(self.table).values(**{**to_row(key), "created_at": key.created_at or now}))
            if ciphertext is not None:
                row = {"id": key.secret_ref, "ciphertext": ciphertext, "scheme": scheme, "created_at": now}
                await conn.execute(insert(tables.secrets).values(**row))
            message = f"key …{key.tail} of {key.provider} added to quota pool {pool.id}"
            await record(conn, self.clock, Event("key.added", message, subject_id=key.id))

    async def by_fingerprint(self, fingerprint: str) -> Key | None:
        return self._one(await self.db.one(select(self.table).where(self.table.c.fingerprint == fingerprint)))

    async def usable(self) -> tuple[Key, ...]:
        """Keys that may be tried: verified, or not yet known to be bad."""
        good = [KeyState.VERIFIED.value, KeyState.UNVERIFIED.value]
        return await self._many(select(self.table).where(self.table.c.state.in_(good)).order_by(self.table.c.id))

    async def count(self) -> int:
        """How many keys there are, whatever their state."""
        row = await self.db.one(select(func.count().label("count")).select_from(self.table))
        return int(row["count"]) if row else 0

    async def set_state(self, key_id: str, state: KeyState, reason: str = "", event: Event | None = None) -> None:
        """Record what verification or a provider's refusal said of a key."""
        verified: dict[str, Any] = {"verified_at": self.clock.now()} if state is KeyState.VERIFIED else {}
        await self._update(key_id, event, state=state, state_reason=reason, **verified)

    async def update(self, key_id: str, event: Event | None = None, **values: Any) -> None:
        await self._update(key_id, event, **values)

    async def remove(self, key_id: str, by: str = "") -> None:
        """Forget a key and destroy its sealed secret."""
        key = await self.get(key_id)
        async with self.db.write("keys", KEYRING, "events") as conn:
            await conn.execute(self.table.delete().where(self.table.c.id == key_id))
            await conn.execute(tables.secrets.delete().where(tables.secrets.c.id == key.secret_ref))
            message = f"key …{key.tail} of {key.provider} removed" + (f" by {by}" if by else "")
            await record(conn, self.clock, Event("key.removed", message, subject_id=key_id))

    def _topics(self, event: Event | None) -> tuple[str, ...]:
        return (*super()._topics(event), KEYRING)

    async def ciphertext(self, secret_ref: str) -> bytes | None:
        """The sealed secret under this reference."""
        row = await self.db.one(select(tables.secrets.c.ciphertext).where(tables.secrets.c.id == secret_ref))
        return bytes(row["ciphertext"]) if row else None

    async def put_ciphertext(self, secret_ref: str, ciphertext: bytes, scheme: str = "age") -> None:
        """Keep a sealed secret that belongs to no provider key (a bot token, a device password)."""
        row = {"id": secret_ref, "ciphertext": ciphertext, "scheme": scheme, "created_at": self.clock.now()}
        async with self.db.write("keys") as conn:
            await conn.execute(self.db.upsert(tables.secrets, row))

    async def pools(self) -> tuple[QuotaPool, ...]:
        rows = await self.db.all(select(tables.quota_pools).order_by(tables.quota_pools.c.id))
        return tuple(QuotaPool(r["id"], r["provider"], r["account"]) for r in rows)


class Parks(Repository[Park]):
    table, cls, topic, noun = tables.parks, Park, "parks", "park"

    async def open(self, at: datetime | None = None) -> tuple[Park, ...]:
        """Parks in force at `at` (default now)."""
        now = at or self.clock.now()
        c = self.table.c
        standing = c.cleared_at.is_(None) if at is None else and_(c.started_at <= at, or_(c.cleared_at.is_(None), c.cleared_at > at))
        in_force = and_(standing, or_(c.ends_at.is_(None), c.ends_at > now))
        return await self._many(select(self.table).where(in_force).order_by(c.ends_at))

    async def park(self, park: Park, event: Event | None = None) -> Park:
        """Put something aside. A shorter park never replaces a longer one of the same thing: then the longer one is returned."""
        c = self.table.c
        same = and_(c.scope == park.scope.value, c.pool_id == park.pool_id, c.model_id == park.model_id, c.key_id == park.key_id)
        async with self.db.write(*self._topics(event)) as conn:
            rows = (await conn.execute(select(self.table).where(same, c.cleared_at.is_(None)))).mappings().all()
            standing = [p for row in rows if (p := self._one(row)) is not None]
            longest = next((p for p in standing if _outlasts(p, park)), None)
            if longest is not None:
                return longest
            await conn.execute(update(self.table).where(same, c.cleared_at.is_(None)).values(cleared_at=park.started_at))
            await conn.execute(insert(self.table).values(**to_row(park)))
            await record(conn, self.clock, event)
        return park

    async def since(self, moment: datetime) -> tuple[Park, ...]:
        """Parks that stood at some time after a moment."""
        c = self.table.c
        not_over = and_(or_(c.ends_at.is_(None), c.ends_at > moment), or_(c.cleared_at.is_(None), c.cleared_at > moment))
        return await self._many(select(self.table).where(not_over).order_by(c.started_at))

    async def cleared(self, park_ids: Sequence[str]) -> frozenset[str]:
        """Which of these were ended before their time."""
        c = self.table.c
        found = await self.db.all(select(c.id).where(c.id.in_(park_ids), c.cleared_at.is_not(None)))
        return frozenset(str(row["id"]) for row in found)

    async def clear(self, park_id: str, by: str, event: Event | None = None) -> None:
        """End a park now."""
        await self._update(park_id, event, cleared_at=self.clock.now(), cleared_by=by)


def _outlasts(standing: Park, new: Park) -> bool:
    if standing.ends_at is None:
        return True
    return new.ends_at is not None and standing.ends_at >= new.ends_at
