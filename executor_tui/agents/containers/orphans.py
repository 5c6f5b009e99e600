"""Containers of ours that nobody needs any more: those of projects that are over or unknown, and of changes that failed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from executor_tui.agents.containers.planning import OWN_TAG
from executor_tui.agents.device import Json
from executor_tui.domain.change import ChangeStatus
from executor_tui.domain.project import ProjectStatus
from executor_tui.infra.proxmox.model import Container, Power

RUN_TAG = "run-"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A container and why nobody needs it."""

    container: Container
    run_id: str
    reason: str


def run_of(container: Container) -> str:
    """What a container of ours was made for: the id of a project or a change; empty for a stranger's."""
    if OWN_TAG not in container.tags:
        return ""
    return next((tag.removeprefix(RUN_TAG) for tag in container.tags if tag.startswith(RUN_TAG)), "")


def orphans(
    containers: Sequence[Container], projects: Mapping[str, ProjectStatus], changes: Mapping[str, ChangeStatus]
) -> tuple[Orphan, ...]:
    """Ours without an owner. What a person asked for by a change that was made stays until a person says otherwise."""
    found: list[Orphan] = []
    for container in containers:
        run_id = run_of(container)
        reason = _reason(run_id, projects, changes) if run_id else ""
        if reason:
            found.append(Orphan(container, run_id, reason))
    return tuple(found)


def _reason(run_id: str, projects: Mapping[str, ProjectStatus], changes: Mapping[str, ChangeStatus]) -> str:
    if run_id in projects:
        return f"project {run_id} is {projects[run_id]}" if projects[run_id].final else ""
    if run_id in changes:
        gone = (ChangeStatus.FAILED, ChangeStatus.ROLLED_BACK)
        return f"change {run_id} {changes[run_id].replace('_', ' ')}" if changes[run_id] in gone else ""
    return f"nothing here is called {run_id}"


def collecting(found: Sequence[Orphan], keep: Literal["destroy", "stop", "keep"]) -> tuple[Json, ...]:
    """The operations by which the policy collects orphans: delete them, stop those that run, or leave them."""
    if keep == "destroy":
        return tuple({"op": "lxc.delete", "container": o.container.vmid} for o in found)
    if keep == "stop":
        return tuple(
            {"op": "lxc.shutdown", "container": o.container.vmid, "force": True} for o in found if o.container.power is Power.RUNNING
        )
    return ()
