"""Bot token and webhook: taken out of notification.json into the vault, and opened again when a channel starts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from executor_tui.config.files import PLACEHOLDERS
from executor_tui.config.load import read_json
from executor_tui.config.places import write_atomically
from executor_tui.domain.crash import crash_point
from executor_tui.domain.event import Event
from executor_tui.store.store import Store
from executor_tui.vault.base import Opener, Sealer

FILE = "notification.json"
VAULT = "vault:"
_SECRETS = {("telegram", "bot_token"): "telegram-bot-token", ("discord", "webhook_url"): "discord-webhook"}


class Vault(Sealer, Opener, Protocol):
    """Both halves of a vault."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Which settings were replaced by references."""

    names: tuple[str, ...]


async def take_in(config_dir: Path, store: Store, sealer: Sealer) -> TakenIn:
    """Move plaintext secrets of notification.json into the vault and leave references; the secret is kept before the file is changed.

    Does nothing when there is no file or nothing in the clear. Raises ConfigError, VaultError, StoreError or OSError.
    """
    path = config_dir / FILE
    if not path.exists():
        return TakenIn(())
    data = read_json(path)
    text = path.read_text(encoding="utf-8-sig")
    taken = []
    for (section, name), reference in _SECRETS.items():
        secret = _plain(data, section, name)
        if secret is None:
            continue
        ciphertext = await sealer.seal(reference, secret)
        if ciphertext is not None:
            await store.keys.put_ciphertext(reference, ciphertext, sealer.scheme)
        crash_point("secret.chat_sealed")
        text = _replaced(text, secret, VAULT + reference)
        taken.append(f"{section}.{name}")
    if taken:
        write_atomically(path, text, mode=0o600)
        words = f"{' and '.join(taken)} of {FILE} taken into the vault"
        await store.events.add(Event("config.secrets_taken_in", words, data={"names": taken}))
    return TakenIn(tuple(taken))


async def reveal(value: str, store: Store, opener: Opener) -> str:
    """The secret behind a setting: itself when it is in the clear, else opened from the vault. Raises VaultError."""
    if not value.startswith(VAULT):
        return value
    reference = value.removeprefix(VAULT)
    return await opener.open(reference, await store.keys.ciphertext(reference))


def _plain(data: object, section: str, name: str) -> str | None:
    part = data.get(section) if isinstance(data, dict) else None
    value = part.get(name) if isinstance(part, dict) else None
    if not isinstance(value, str) or value in PLACEHOLDERS or value.startswith(VAULT):
        return None
    return value


def _replaced(text: str, secret: str, reference: str) -> str:
    """The file's text with the secret's JSON string replaced, everything else as the user wrote it."""
    for spelled in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        if spelled in text:
            return text.replace(spelled, json.dumps(reference))
    data = json.loads(text)
    for section, name in _SECRETS:
        if isinstance(data.get(section), dict) and data[section].get(name) == secret:
            data[section][name] = reference
    return json.dumps(data, indent=2) + "\n"
