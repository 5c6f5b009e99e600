"""Pasted keys: telling them apart, and taking them in. A secret lives here from the paste until it is sealed, and in no other place."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from executor_tui.domain.errors import ConflictError, UsageError
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Key, QuotaPool
from executor_tui.domain.model import Tier

if TYPE_CHECKING:
    from executor_tui.config.load import Config
    from executor_tui.config.models import ModelsSettings
    from executor_tui.config.places import Places
    from executor_tui.store.store import Store

MOST_LINES = 200
MOST_CHARS = 4096
_ASSIGNED = re.compile(r"^(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*")
_NAMED = re.compile(r"^([A-Za-z][A-Za-z0-9_.-]*)(?:/([A-Za-z0-9_.@-]+))?\s*[:\s]\s*(\S+)$")


@dataclass(frozen=True, slots=True)
class Pasted:
    """One line: the secret, and whose it is as far as one can tell. `problem` says why it cannot be taken in."""

    secret: str = field(repr=False)
    provider: str = ""
    account: str = ""
    problem: str = ""

    @property
    def tail(self) -> str:
        return self.secret[-4:] if len(self.secret) >= 12 else ""


def read_lines(text: str, models: "ModelsSettings") -> tuple[Pasted, ...]:
    """Keys, one a line: bare, `NAME=key`, `provider key`, or `provider/account key`. Blank lines and comments are passed over."""
    found: list[Pasted] = []
    for row in text.splitlines()[:MOST_LINES]:
        row = row.strip().strip(",;\"'`").strip()
        if row and not row.startswith("#"):
            found.append(_read(row, models, {p.secret for p in found}))
    return tuple(found)


def _read(row: str, models: "ModelsSettings", seen: set[str]) -> Pasted:
    named = _NAMED.match(row)
    name, account, secret = named.groups() if named else ("", "", _ASSIGNED.sub("", row))
    secret = secret.strip("\"'`,;")
    if len(secret) > MOST_CHARS or any(c.isspace() or not c.isprintable() for c in secret):
        return Pasted("", problem="this is no key")
    provider = models.provider_named(name) if name else recognise(secret, models)
    if name and provider is None:
        return Pasted(secret, problem=f"no provider {name!r} in models.json")
    if provider is None:
        return Pasted(secret, problem="provider not recognised; write its name before the key")
    if secret in seen:
        return Pasted(secret, provider, account or "", "given twice")
    return Pasted(secret, provider, account or "")


def recognise(secret: str, models: "ModelsSettings") -> str | None:
    """The provider whose key pattern fits; when several do, the one that says most about how a key begins."""
    fitting = [
        (len(_beginning(settings.key_pattern)), name)
        for name, settings in models.providers.items()
        if settings.key_pattern and re.search(settings.key_pattern, secret)
    ]
    return max(fitting)[1] if fitting else None


def _beginning(pattern: str) -> str:
    """The literal text a pattern starts with: `sk-ant-` of `^sk-ant-[A-Za-z]+$`."""
    found = re.match(r"\^?((?:[A-Za-z0-9_-]|\\.)*)", pattern)
    return found.group(1) if found else ""


def assign_accounts(pasted: Sequence[Pasted], known_pools: Sequence[str], one_account: bool) -> tuple[Pasted, ...]:
    """Give every key without an account one: all `default`, or each the next free `default`, `account-2`, `account-3` …"""
    taken: dict[str, set[str]] = {}
    for pool in known_pools:
        provider, _, account = pool.partition("/")
        taken.setdefault(provider, set()).add(account)
    out = []
    for one in pasted:
        if one.provider and not one.account and not one.problem:
            used = taken.setdefault(one.provider, set())
            free = ["default", *(f"account-{n}" for n in range(2, MOST_LINES + 2))]
            account = "default" if one_account else next(a for a in free if a not in used)
            used.add(account)
            one = Pasted(one.secret, one.provider, account)
        out.append(one)
    return tuple(out)


def notes(pasted: Sequence[Pasted], known_pools: Sequence[str], models: "ModelsSettings") -> list[str]:
    """What each provider says about several accounts, for those that will have more than one key or account."""
    have = [pool.partition("/")[0] for pool in known_pools]
    new = [one.provider for one in pasted if not one.problem]
    several = [name for name in dict.fromkeys(new) if have.count(name) + new.count(name) > 1]
    return [models.providers[name].several_accounts for name in several if models.providers[name].several_accounts]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one pasted line: the key's row, or why there is none."""

    provider: str
    pool_id: str
    tail: str
    key_id: str = ""
    problem: str = ""


async def take_in(store: "Store", config: "Config", places: "Places", pasted: Sequence[Pasted]) -> tuple[Taken, ...]:
    """Seal each key and add it, unverified: the gateway verifies it from there. Raises VaultError before anything is added."""
    from executor_tui.vault.base import fingerprint
    from executor_tui.vault.open import open_vault

    vault = open_vault(config.executor.vault, places)
    taken = []
    for one in pasted:
        pool = QuotaPool(QuotaPool.id_for(one.provider, one.account), one.provider, one.account)
        if one.problem:
            taken.append(Taken(one.provider, "", one.tail, problem=one.problem))
            continue
        mark = fingerprint(one.provider, one.secret)
        known = await store.keys.by_fingerprint(mark)
        if known is not None:
            taken.append(Taken(one.provider, known.pool_id, known.tail, known.id, "already known"))
            continue
        key_id = new_id("key")
        ciphertext = await vault.seal(key_id, one.secret)
        key = Key(key_id, one.provider, pool.id, tier_of(one.provider, config), key_id, mark, one.tail)
        try:
            await store.keys.add(key, pool, ciphertext, vault.scheme)
        except ConflictError as error:
            taken.append(Taken(one.provider, pool.id, one.tail, problem=error.message))
        else:
            taken.append(Taken(one.provider, pool.id, one.tail, key_id))
    return tuple(taken)


def tier_of(provider: str, config: "Config") -> Tier:
    """The dearest tier among the models this provider serves; what a key of it can reach."""
    tiers = [m.tier for m in config.models.models if any(r.provider == provider for r in m.routes)]
    return max(tiers, key=lambda tier: tier.rank) if tiers else Tier.STANDARD


def require_any(pasted: Sequence[Pasted]) -> None:
    """Raises UsageError when there is nothing that could be taken in."""
    if not any(not one.problem for one in pasted):
        raise UsageError("no key to take in yet: paste one a line")
