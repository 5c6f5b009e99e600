"""The secrets of devices: taken from fleet_registry.json into the vault on first sight, opened from there after that."""

import asyncio
import json
import logging
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from pydantic import SecretStr

from executor_tui.config.files import PLACEHOLDERS, AgentEntry, FleetRegistry
from executor_tui.config.general import VaultSettings
from executor_tui.config.load import Config, load_file, read_json
from executor_tui.config.places import Places, write_atomically
from executor_tui.domain.crash import crash_point
from executor_tui.domain.event import Event, Level
from executor_tui.store.store import Store
from executor_tui.vault.open import open_vault

PREFIX = "vault:"
FILE = "fleet_registry.json"
FIELDS = ("password", "token_value")

log = logging.getLogger(__name__)
_taking_in: "WeakKeyDictionary[Store, asyncio.Lock]" = WeakKeyDictionary()
"""Several devices are opened at once; the first takes the secrets of all of them in."""


def reference(agent_id: str, name: str) -> str:
    """Where the vault keeps a secret of a device."""
    return f"device-{agent_id}-{name.replace('_', '-')}"


def is_plain(value: SecretStr) -> bool:
    """Whether this is a secret itself, not a reference and not a placeholder."""
    text = value.get_secret_value()
    return text not in PLACEHOLDERS and not text.startswith(PREFIX)


async def opened(entry: AgentEntry, name: str, store: Store, config: Config, places: Places) -> str:
    """The secret in a field of a device, "" when the field is empty. A plain one is taken into the vault first. Raises VaultError."""
    assert entry.device is not None
    value: SecretStr = getattr(entry.device, name)
    text = value.get_secret_value()
    if text in PLACEHOLDERS:
        return ""
    if is_plain(value):
        await take_in(store, config, places)
        return text
    return await open_secret(store, config.executor.vault, places, text.removeprefix(PREFIX))


async def open_secret(store: Store, settings: VaultSettings, places: Places, ref: str) -> str:
    """A secret by its reference. Raises VaultError."""
    return await open_vault(settings, places).open(ref, await store.keys.ciphertext(ref))


async def keep_secret(store: Store, settings: VaultSettings, places: Places, ref: str, secret: str) -> None:
    """Seal a secret and keep it; on disk when this returns."""
    vault = open_vault(settings, places)
    ciphertext = await vault.seal(ref, secret)
    if ciphertext is not None:
        await store.keys.put_ciphertext(ref, ciphertext, vault.scheme)


async def take_in(store: Store, config: Config, places: Places) -> int:
    """Seal every plain secret of fleet_registry.json and put references in their place; says how many.

    The file is read anew, since the settings in memory may be older, and rewritten last, so that a crash in between loses nothing.
    """
    async with _taking_in.setdefault(store, asyncio.Lock()):
        return await _take_in(store, config, places)


async def _take_in(store: Store, config: Config, places: Places) -> int:
    taken: dict[tuple[str, str], str] = {}
    for entry in load_file(places.config_dir, FILE, FleetRegistry).agents:
        if entry.device is None:
            continue
        for name in FIELDS:
            value: SecretStr = getattr(entry.device, name)
            if is_plain(value):
                ref = reference(entry.id, name)
                await keep_secret(store, config.executor.vault, places, ref, value.get_secret_value())
                taken[entry.id, name] = ref
    if taken:
        crash_point("secret.device_sealed")
        _rewrite(places, taken)
        devices = ", ".join(sorted({agent for agent, _ in taken}))
        text = f"secrets of {devices} taken into the vault; {FILE} now holds references"
        await store.events.add(Event("vault.taken_in", text, Level.INFO, data={"count": len(taken)}))
    return len(taken)


def _rewrite(places: Places, taken: Mapping[tuple[str, str], str]) -> None:
    path = places.config_dir / FILE
    if not path.exists():
        return
    document = read_json(path)
    agents = document.get("agents") if isinstance(document, dict) else None
    for agent in agents if isinstance(agents, list) else []:
        device = agent.get("device") if isinstance(agent, dict) else None
        for name in FIELDS:
            ref = taken.get((str(agent.get("id")), name)) if isinstance(device, dict) else None
            if ref is not None and isinstance(device, dict) and name in device and not str(device[name]).startswith(PREFIX):
                device[name] = PREFIX + ref
    write_atomically(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
