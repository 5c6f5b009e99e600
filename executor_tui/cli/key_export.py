"""Keys on their way out: references for anybody, secrets only as an age file for one recipient."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from executor_tui.domain.errors import UsageError
from executor_tui.domain.key import Key

if TYPE_CHECKING:
    from executor_tui.config.load import Config
    from executor_tui.config.places import Places
    from executor_tui.store.store import Store


def references(keys: Sequence[Key]) -> list[dict[str, object]]:
    """In the form of hydra_keys.json: a reference to the vault in place of each key."""
    return [_entry(key, f"vault:{key.secret_ref}") for key in keys]


def _entry(key: Key, secret: str) -> dict[str, object]:
    account = key.pool_id.partition("/")[2]
    return {"provider": key.provider, "key": secret, "tier": str(key.tier), "account": account, "label": key.label}


async def encrypted(store: "Store", config: "Config", places: "Places", recipient: str) -> str:
    """Every key, opened, encrypted to `recipient`; `age -d` and `executor keys import -` bring them back. Raises UsageError, VaultError."""
    from pyrage import RecipientError, encrypt, x25519

    from executor_tui.vault.open import open_vault

    try:
        to = x25519.Recipient.from_str(recipient)
    except RecipientError as exc:
        raise UsageError(f"{recipient[:80]!r} is no age public key", hint="it begins with age1; make one with: age-keygen") from exc
    vault = open_vault(config.executor.vault, places)
    keys = await store.keys.list()
    entries = [_entry(key, await vault.open(key.secret_ref, await store.keys.ciphertext(key.secret_ref))) for key in keys]
    return bytes(encrypt(json.dumps({"keys": entries}, indent=2).encode(), [to], armored=True)).decode("ascii")
