"""Taking keys in: sealed into the vault, a row and a quota pool in the store; and out of hydra_keys.json, which keeps a reference.

The ciphertext is in the store before the file is changed: whatever happens in between, the key is in at least one of the two.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from executor_tui.config.files import PLACEHOLDERS, HydraKeys, KeyEntry
from executor_tui.config.load import parse, read_json
from executor_tui.config.models import ModelsSettings
from executor_tui.config.places import write_atomically
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ConflictError, UsageError
from executor_tui.domain.event import Event
from executor_tui.domain.ids import new_id
from executor_tui.domain.key import Key, QuotaPool
from executor_tui.domain.model import Tier
from executor_tui.hydra.recognise import REFERENCE, Recognised
from executor_tui.store.store import Store
from executor_tui.vault.base import Sealer, fingerprint

FILE = "hydra_keys.json"
DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one key: its row's id, or why there is none (`problem`). `known`: it was here before."""

    provider: str
    pool_id: str = ""
    tail: str = ""
    key_id: str = ""
    problem: str = ""
    known: bool = False


async def add_key(
    store: Store,
    sealer: Sealer,
    models: ModelsSettings,
    provider: str,
    secret: str,
    *,
    account: str = "",
    tier: Tier | None = None,
    label: str = "",
) -> Key:
    """Seal one key and add it, unverified: the gateway verifies it from there.

    Raises UsageError for an unknown provider, ConflictError for a key already known, VaultError.
    """
    name = models.provider_named(provider)
    if name is None:
        known = ", ".join(sorted(models.providers))
        raise UsageError(f"no provider {provider!r} in models.json", hint=f"there are: {known}")
    if not secret or secret in PLACEHOLDERS or any(c.isspace() or not c.isprintable() for c in secret):
        raise UsageError("that is no key: it is empty, a placeholder, or has spaces in it")
    mark = fingerprint(name, secret)
    if (before := await store.keys.by_fingerprint(mark)) is not None:
        raise ConflictError(f"this {name} key (…{before.tail}) is already known as {before.id}", hint="see: executor keys list")
    account = account or DEFAULT_ACCOUNT
    pool = QuotaPool(QuotaPool.id_for(name, account), name, account)
    key_id = new_id("key")
    ciphertext = await sealer.seal(key_id, secret)
    tail = Recognised(0, secret).tail
    key = Key(key_id, name, pool.id, tier or Tier.STANDARD, key_id, mark, tail, label)
    await store.keys.add(key, pool, ciphertext, sealer.scheme)
    return key


async def take_in_all(store: Store, sealer: Sealer, models: ModelsSettings, found: Sequence[Recognised]) -> tuple[Taken, ...]:
    """Add every key that was recognised; a problem with one does not keep the others out. Raises VaultError before anything is added."""
    taken = []
    for one in found:
        if one.problem:
            taken.append(Taken(one.provider, tail=one.tail, problem=one.problem))
            continue
        try:
            key = await add_key(store, sealer, models, one.provider, one.secret, account=one.account, tier=one.tier, label=one.label)
        except (ConflictError, UsageError) as exc:
            before = await store.keys.by_fingerprint(fingerprint(one.provider, one.secret))
            pool_id, key_id = (before.pool_id, before.id) if before else ("", "")
            taken.append(Taken(one.provider, pool_id, one.tail, key_id, exc.message, known=before is not None))
        else:
            taken.append(Taken(one.provider, key.pool_id, key.tail, key.id))
    return tuple(taken)


async def take_in_file(config_dir: Path, models: ModelsSettings, store: Store, sealer: Sealer) -> tuple[Taken, ...]:
    """Move the plaintext keys of hydra_keys.json into the vault; the file then holds `vault:<reference>` in their place.

    Nothing happens without a file; one that cannot be read as settings is left untouched (ConfigError). Raises VaultError, StoreError,
    OSError.
    """
    path = config_dir / FILE
    if not path.exists():
        return ()
    settings = parse(path, read_json(path), HydraKeys)
    plain = [entry for entry in settings.keys if _is_plain(entry)]
    if not plain:
        return ()
    taken, references = [], {}
    for entry in plain:
        secret = entry.key.get_secret_value()
        found = Recognised(0, secret, entry.provider, entry.account, entry.tier, entry.label)
        [one] = await take_in_all(store, sealer, models, [found])
        if one.key_id:
            references[secret] = REFERENCE + (await store.keys.get(one.key_id)).secret_ref
        taken.append(one)
    if references:
        crash_point("secret.key_sealed")
        write_atomically(path, _rewritten(path.read_text(encoding="utf-8-sig"), references), mode=0o600)
        words = f"{len(references)} keys of {FILE} taken into the vault"
        await store.events.add(Event("config.secrets_taken_in", words, data={"keys": [t.key_id for t in taken if t.key_id]}))
    return tuple(taken)


def _is_plain(entry: KeyEntry) -> bool:
    secret = entry.key.get_secret_value()
    return secret not in PLACEHOLDERS and not secret.startswith(REFERENCE)


def _rewritten(text: str, references: dict[str, str]) -> str:
    """The file's text with each secret's JSON string replaced, everything else as the user wrote it."""
    left = {}
    for secret, reference in references.items():
        spelled = next((s for s in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)) if s in text), None)
        if spelled is None:
            left[secret] = reference
        else:
            text = text.replace(spelled, json.dumps(reference))
    if not left:
        return text
    document = json.loads(text)
    for entry in document["keys"]:
        entry["key"] = left.get(entry["key"], entry["key"])
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
