"""Requests in words: a change whose operations a model works out first. It is written down before anything else, like every other change.

The model can only propose. Whatever the policy approves by itself, a change that a model proposed waits for a person: what the model read
on the device may have been written by somebody who wants exactly that change.
"""

from collections.abc import Callable
from dataclasses import replace

import aiohttp

from executor_tui.agents.client import ModelClient
from executor_tui.agents.containers import looking as containers
from executor_tui.agents.device import Device
from executor_tui.agents.network import NetworkDevice
from executor_tui.agents.proposing import Desk, Proposal, propose
from executor_tui.agents.proxmox import ProxmoxDevice
from executor_tui.agents.routers import looking as routers
from executor_tui.agents.tools import one_line
from executor_tui.agents.turn import mark_for
from executor_tui.config.load import Config
from executor_tui.core.changes.runtime import ChangeHands, ModelAccess, Runtime
from executor_tui.core.skill_injector import SkillInjector
from executor_tui.domain.agent import Role
from executor_tui.domain.change import Change, ChangeStatus, Risk
from executor_tui.domain.clock import Clock
from executor_tui.domain.errors import ExecutorError, UsageError
from executor_tui.domain.event import Event
from executor_tui.domain.ids import new_id
from executor_tui.store.store import Store

WORDS, PROPOSED = "words", "proposed"
"""In a change's journal: the request as it was put, and what the model said of its proposal."""
MAX_CHARS = 2_000
ROLES = {"routeros": Role.NETWORK, "proxmox": Role.PROXMOX}


class NotUnderstoodError(ExecutorError):
    """The model proposed nothing; the message is what it said."""

    exit_code = 2


async def ask(store: Store, device_id: str, kind: str, request: str, requested_by: str, project_id: str = "") -> Change:
    """Record a request in words; on disk when this returns. Whoever works on changes has a model look into it. Raises UsageError."""
    request = request.strip()
    if not request:
        raise UsageError("say what you want done")
    if len(request) > MAX_CHARS:
        raise UsageError(f"a request in words has at most {MAX_CHARS} characters; this one has {len(request)}")
    if kind not in ROLES:
        raise UsageError(f"no agent takes requests in words for a {kind}")
    change = Change(
        id=new_id("chg"), device=device_id, kind=kind, summary=one_line(request, 120), status=ChangeStatus.PLANNED, risk=Risk.READ,
        agent_id=device_id, project_id=project_id, requested_by=requested_by,
        journal={WORDS: request, "why": f"{requested_by or 'somebody'} asked in words: {one_line(request, 300)}"},
    )  # fmt: skip
    text = f"change {change.id} on {device_id} asked for in words by {requested_by or 'somebody'}"
    await store.changes.put(change, Event("change.requested", text, agent_id=device_id, project_id=project_id, subject_id=change.id))
    return await store.changes.get(change.id)


async def ask_again(store: Store, change: Change, requested_by: str) -> Change:
    """The same words once more; what a model proposed before counts for nothing."""
    return await ask(store, change.device, change.kind, str(change.journal.get(WORDS) or ""), requested_by, change.project_id)


def by_model(change: Change) -> bool:
    """Whether the operations of a change are a model's."""
    return bool(change.journal.get(WORDS))


async def proposed(runtime: Runtime, change: Change, device: Device) -> Change:
    """The change with the operations a model proposes for it; as it is when it has them already, or was not asked for in words.

    Raises NotUnderstoodError, and what reading the device and asking a model raise.
    """
    request = str(change.journal.get(WORDS) or "")
    if not request or PROPOSED in change.journal:
        return change
    if runtime.model_access is None:
        raise ExecutorError("no gateway to ask a model through", hint="start a node: executor --no-ui")
    say, ids = ChangeHands(runtime, change).say, (change.id, change.project_id)
    found = await consider(runtime.clock, runtime.config(), runtime.model_access, device, request, say, *ids)
    if not found.operations:
        hint = "say it differently, or more fully"
        raise NotUnderstoodError(f"nothing was proposed; the model says: {found.said or 'nothing'}", hint=hint)
    journal = {**change.journal, PROPOSED: found.said, "asked": list(found.operations)}
    change = replace(change, operations=found.operations, journal=journal)
    many = "s" if len(found.operations) != 1 else ""
    text = f"{len(found.operations)} operation{many} proposed in {found.turns} turns (${found.cost_usd:.4f})"
    event = Event("change.proposed", text, agent_id=change.device, project_id=change.project_id, subject_id=change.id)
    await runtime.store.changes.update(change.id, event, operations=found.operations, journal=journal)
    return change


async def consider(
    clock: Clock, config: Config, access: ModelAccess, device: Device, request: str, say: Callable[[str], None], change_id: str = "",
    project_id: str = "",
) -> Proposal:  # fmt: skip
    """Have a model look at a device and propose operations; nothing is changed and nothing is written down."""
    change_id = change_id or new_id("chg")
    base_url, secret = await access(device.id, project_id)
    skills, role = SkillInjector(config), ROLES[device.kind]
    gateway = config.executor.gateway
    deadline_s = gateway.request_deadline_s + gateway.approval_wait_s + 30.0
    async with aiohttp.ClientSession() as session:
        client = ModelClient(session, base_url, clock, secret, deadline_s)
        return await propose(
            request, desk_of(device), client, skills.model_for(role), lambda tokens: skills.generate_system_prompt(role, tokens),
            mark_for(f"{change_id} in words"), f"{change_id}.words", say,
        )  # fmt: skip


def desk_of(device: Device) -> Desk:
    """What a model may do for a device of this kind."""
    if isinstance(device, NetworkDevice):
        return routers.desk_of(device)
    if isinstance(device, ProxmoxDevice):
        return containers.desk_of(device)
    raise UsageError(f"no agent takes requests in words for a {device.kind}")
