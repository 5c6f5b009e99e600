"""Containers that an outage left without an owner: found by their tags, collected by a change like any other, so never without consent.

A container tagged with a run that this installation does not know is only told of: it may belong to another one. Containers that projects
live in are put away by core.containers.keeper.
"""

import hashlib
from collections.abc import Sequence

from executor_tui.agents.containers.orphans import Orphan, collecting, orphans
from executor_tui.agents.device import Asked
from executor_tui.agents.devices import PROXMOX, open_device
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.changes.requests import submit
from executor_tui.core.recovery.report import NEEDS_YOU, WAITING, WorkThen
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.project import Where
from executor_tui.store.store import Store

BY = "power recovery"


async def collect(store: Store, config: Config, places: Places) -> list[WorkThen]:
    """Look on every Proxmox device of the fleet and ask for what the policy (`containers.keep`) does with orphans.

    The same orphans are asked about once, however often this runs, and a no holds. A device that does not answer is a row of the report.
    """
    rows: list[WorkThen] = []
    for entry in config.fleet_registry.agents:
        if entry.device is not None and entry.device.kind == PROXMOX:
            try:
                rows += await _on(entry.id, store, config, places)
            except ExecutorError as exc:
                detail = f"containers left behind were not looked for: {exc.message}; look later with: executor lxc orphans"
                rows.append(WorkThen(entry.id, "device", NEEDS_YOU, detail))
    return rows


async def _on(device_id: str, store: Store, config: Config, places: Places) -> list[WorkThen]:
    device = await open_device(device_id, store, config, places)
    assert isinstance(device, ProxmoxDevice)
    known = await store.projects.list()
    projects, kept = {p.id: p.status for p in known}, {p.id for p in known if p.where is Where.LXC}
    changes = {c.id: c.status for c in await store.changes.list()}
    found = [o for o in orphans(await device.driver.containers(), projects, changes) if o.run_id not in kept]
    ours = [o for o in found if o.run_id in projects or o.run_id in changes]
    rows = [_row(o, NEEDS_YOU, "not of this installation, perhaps; see: executor lxc orphans") for o in found if o not in ours]
    todo = collecting(ours, config.executor.containers.keep)
    if not todo:
        return [*rows, *(_row(o, NEEDS_YOU, "the policy leaves it as it is; see: executor lxc orphans") for o in ours)]
    why = "; ".join(f"container {o.container.vmid} {o.container.name}: {o.reason}" for o in ours)
    asked = Asked(device_id, todo, summary=f"collect {len(todo)} containers nobody needs any more", requested_by=BY, why=why)
    change = await submit(store, device, asked, _change_id(device_id, ours))
    if change.status.final:
        return rows
    return [*rows, *(_row(o, WAITING, f"change {change.id} collects it, once you have consented") for o in ours)]


def _change_id(device_id: str, found: Sequence[Orphan]) -> str:
    """The same for the same orphans."""
    seed = "|".join([device_id, *sorted(f"{o.container.vmid}:{o.run_id}" for o in found)])
    return "chg-orphans-" + hashlib.sha256(seed.encode()).hexdigest()[:10]


def _row(orphan: Orphan, outcome: str, detail: str) -> WorkThen:
    name = f"{orphan.container.vmid} {orphan.container.name}".strip()
    return WorkThen(name, "container", outcome, f"{orphan.reason}; {detail}")
