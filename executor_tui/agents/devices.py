"""The devices of the fleet by their agent's id: which class serves which kind."""

from executor_tui.agents.device import Device, PlanRefusedError
from executor_tui.agents.drivers import proxmox_driver, settings_of
from executor_tui.agents.network import open_router
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.config.files import AgentEntry
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.domain.errors import ConfigError, NotFoundError
from executor_tui.store.store import Store

PROXMOX, ROUTEROS = "proxmox", "routeros"


def entry_of(config: Config, agent_id: str) -> AgentEntry:
    """An agent of the registry. Raises NotFoundError."""
    entry = next((e for e in config.fleet_registry.agents if e.id == agent_id), None)
    if entry is None:
        raise NotFoundError(f"no agent {agent_id!r} in fleet_registry.json", hint="see what there is with: executor fleet list")
    return entry


def entry_of_kind(config: Config, kind: str, named: str = "") -> AgentEntry:
    """The agent with a device of this kind: the one named, or the only one there is. Raises ConfigError naming the choices."""
    found = [e for e in config.fleet_registry.agents if e.device is not None and e.device.kind == kind]
    if named:
        settings_of(entry_of(config, named), kind)
        return entry_of(config, named)
    if len(found) == 1:
        return found[0]
    if not found:
        example = f'"device": {{"kind": "{kind}", "host": …, "user": …, "password": …, "fingerprint": …}}'
        raise ConfigError(f"fleet_registry.json has no agent with a {kind} device", hint=f"add one: {example}")
    names = ", ".join(e.id for e in found)
    raise ConfigError(f"fleet_registry.json has several {kind} devices: say which one ({names})", hint="with: --device ID")


async def open_device(agent_id: str, store: Store, config: Config, places: Places) -> Device:
    """The device of an agent, ready for planning. Raises ConfigError, NotFoundError and VaultError."""
    entry = entry_of(config, agent_id)
    if entry.device is None:
        raise ConfigError(f"fleet_registry.json: agent {agent_id!r} has no device", hint='add "device": {"kind": …, "host": …} to it')
    if entry.device.kind == PROXMOX:
        driver = await proxmox_driver(entry, store, config, places)
        return ProxmoxDevice(entry.id, driver, lambda: config.executor.containers, store.clock)
    if entry.device.kind == ROUTEROS:

        async def find_container(named: int | str) -> str:
            return await container_address(named, store, config, places)

        return await open_router(entry, store, config, places, find_container)
    raise ConfigError(f"fleet_registry.json: {agent_id}: no agent serves a {entry.device.kind}")


async def container_address(named: int | str, store: Store, config: Config, places: Places) -> str:
    """The IPv4 address of a container, by id or name, as its configuration or the running container tells.

    Raises ConfigError, PlanRefusedError, and what the driver raises.
    """
    entry = entry_of_kind(config, PROXMOX, config.executor.containers.device)
    driver = await proxmox_driver(entry, store, config, places)
    found = [c for c in await driver.containers() if named in (c.vmid, c.name) or str(named) == str(c.vmid)]
    if len(found) != 1:
        problem = f"several containers are named {named!r}: say which id" if found else f"there is no container {named!r}"
        raise PlanRefusedError(problem, hint="see what there is with: executor lxc list --all")
    settled = (await driver.config(found[0].node, found[0].vmid)).address
    addresses = [settled] if settled else await driver.addresses(found[0].node, found[0].vmid)
    address = next((a.partition("/")[0] for a in addresses if "." in a and not a.startswith("127.")), "")
    if not address:
        raise PlanRefusedError(f"container {named} has no IPv4 address yet", hint="start it, or name the address itself")
    return address
