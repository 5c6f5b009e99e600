"""Drivers of the fleet's devices, made once per device and kept while its settings stay the same: a login and a handshake are not cheap."""

from executor_tui.agents import credentials
from executor_tui.config.files import AgentEntry, DeviceSettings
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ConfigError
from executor_tui.infra.proxmox.driver import Proxmox
from executor_tui.infra.proxmox.target import ProxmoxTarget
from executor_tui.infra.routeros.target import RouterOsTarget
from executor_tui.store.store import Store

PROXMOX_PORT, ROUTEROS_PORT, ROUTEROS_TLS_PORT = 8006, 8728, 8729
MAX_KEPT = 512

_drivers: dict[str, tuple[ProxmoxTarget, Clock, Proxmox]] = {}


def settings_of(entry: AgentEntry, kind: str) -> DeviceSettings:
    """The device of an agent. Raises ConfigError when it has none, or one of another kind."""
    if entry.device is None:
        raise ConfigError(f"fleet_registry.json: agent {entry.id!r} has no device", hint='add "device": {"kind": …, "host": …} to it')
    if entry.device.kind != kind:
        raise ConfigError(f"fleet_registry.json: the device of {entry.id!r} is a {entry.device.kind}, not a {kind}")
    return entry.device


async def proxmox_target(entry: AgentEntry, store: Store, config: Config, places: Places) -> ProxmoxTarget:
    """How to reach a cluster. Raises ConfigError and VaultError."""
    device = settings_of(entry, "proxmox")
    if not device.tls:
        raise ConfigError(
            f'fleet_registry.json: {entry.id}: Proxmox speaks TLS only; take "tls": false away, pin its "fingerprint" instead'
        )
    user = device.user or "root@pam"
    return ProxmoxTarget(
        name=entry.id, host=device.host, user=user if "@" in user else f"{user}@pam", port=device.port or PROXMOX_PORT,
        password=await credentials.opened(entry, "password", store, config, places), token_name=device.token_name,
        token_value=await credentials.opened(entry, "token_value", store, config, places), fingerprint=device.fingerprint,
    )  # fmt: skip


async def proxmox_driver(entry: AgentEntry, store: Store, config: Config, places: Places, clock: Clock | None = None) -> Proxmox:
    """The driver of an agent's cluster; the same one as long as its settings are the same."""
    target = await proxmox_target(entry, store, config, places)
    clock = clock or store.clock
    name = f"{places.state_dir}:{entry.id}"
    known = _drivers.get(name)
    if known is not None:
        if known[0] == target and known[1] is clock:
            return known[2]
        known[2].close()
    while len(_drivers) >= MAX_KEPT:
        _drivers.pop(next(iter(_drivers)))[2].close()
    _drivers[name] = (target, clock, Proxmox(target, clock))
    return _drivers[name][2]


async def routeros_target(entry: AgentEntry, store: Store, config: Config, places: Places, timeout_s: float = 10.0) -> RouterOsTarget:
    """How to reach a router. Raises ConfigError and VaultError."""
    device = settings_of(entry, "routeros")
    usual = ROUTEROS_TLS_PORT if device.tls else ROUTEROS_PORT
    return RouterOsTarget(
        name=entry.id, host=device.host, username=device.user or "admin", port=device.port or usual,
        password=await credentials.opened(entry, "password", store, config, places), tls=device.tls, fingerprint=device.fingerprint,
        timeout_s=timeout_s,
    )  # fmt: skip
