"""`project new --wait`: following one project to its end, with a node in this process if none runs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from executor_tui.cli.context import Cli
from executor_tui.cli.project import event_line
from executor_tui.domain.approval import Approval, ApprovalKind
from executor_tui.domain.clock import Clock, SystemClock
from executor_tui.domain.project import Project, ProjectStatus, Question
from executor_tui.store.store import Store

TICK_S = 0.5
_ENDS = {ProjectStatus.DELIVERED: 0, ProjectStatus.FAILED: 1, ProjectStatus.CANCELLED: 1, ProjectStatus.QUARANTINED: 1}


@dataclass(frozen=True)
class Outcome:
    """How the waiting ended, and the exit code: 0 delivered, 1 failed or cancelled, 3 a person is needed, 4 nothing available."""

    exit_code: int
    text: str
    document: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Standstill:
    """Why a project does not go on by itself just now."""

    exit_code: int
    text: str
    question: Question | None = None
    approval: Approval | None = None


def wait_for(cli: Cli, project_id: str, deadline_s: float, *, interactive: bool) -> Outcome:
    """Wait until the project ends, or, without a terminal, until it has stood still for `deadline_s`."""
    return asyncio.run(_wait(cli, project_id, None if interactive else deadline_s))


async def _wait(cli: Cli, project_id: str, deadline_s: float | None) -> Outcome:
    if await cli.with_store(_is_led):
        return await cli.with_store(lambda store: follow(cli, store, project_id, deadline_s, SystemClock()))
    from executor_tui.node import running_node

    cli.note("no node runs; starting one for as long as this takes")
    async with running_node(cli.places) as node:
        return await follow(cli, node.store, project_id, deadline_s, SystemClock())


async def _is_led(store: Store) -> bool:
    return await store.leases.leader() is not None


async def follow(cli: Cli, store: Store, project_id: str, deadline_s: float | None, clock: Clock) -> Outcome:
    """Tell what happens on stderr, and return when it is over or has stood still for too long."""
    seq, stood_since, told = 0, None, ""
    async for _ in _ticks(store, clock):
        for event in await store.events.after(seq, project_id=project_id):
            seq = event.seq
            cli.note(event_line(event))
        project = await store.projects.get(project_id)
        if project.status in _ENDS:
            return _ended(project)
        still = await standstill(store, project)
        if still is None:
            stood_since, told = None, ""
            continue
        stood_since = clock.monotonic_s() if stood_since is None else stood_since
        if still.text != told:
            told = still.text
            cli.note(told)
        if deadline_s is not None and clock.monotonic_s() - stood_since >= deadline_s:
            return _given_up(project, still)
    raise AssertionError("unreachable: the ticks never end")


async def _ticks(store: Store, clock: Clock) -> AsyncIterator[None]:
    """After each change of the store, and now and then without one, as deadlines pass in silence."""
    changed = asyncio.Event()

    async def watch() -> None:
        async for _ in store.feed():
            changed.set()

    watcher = asyncio.create_task(watch(), name="wait-feed")
    try:
        while True:
            yield
            timer = asyncio.create_task(clock.sleep(TICK_S))
            event = asyncio.create_task(changed.wait())
            await asyncio.wait({timer, event, watcher}, return_when=asyncio.FIRST_COMPLETED)
            timer.cancel()
            event.cancel()
            changed.clear()
            if watcher.done():
                watcher.result()
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def standstill(store: Store, project: Project) -> Standstill | None:
    """What the project waits for that it cannot do itself; None while it works."""
    for question in await store.questions.open():
        if question.project_id == project.id:
            how = f'executor project answer {project.id} "…"'
            return Standstill(3, f"{question.text}\n  answer with: {how}   ({', '.join(question.options)})", question=question)
    for approval in await store.approvals.pending():
        if approval.project_id == project.id:
            price = f"risk: {approval.risk}" if approval.kind is ApprovalKind.CHANGE else f"about ${approval.estimate_usd:.4f}"
            text = f"consent needed: {approval.subject} ({price})"
            how = f"executor approvals approve {approval.id}, or: executor approvals deny {approval.id}"
            return Standstill(3, f"{text}\n  {how}", approval=approval)
    if project.status is ProjectStatus.WAITING_KEYS:
        return Standstill(4, "no API key can serve this project; add one with: executor keys add PROVIDER")
    if project.wake_at is not None:
        return Standstill(4, f"{project.detail}; it tries again at {project.wake_at:%Y-%m-%d %H:%M:%S} UTC")
    return None


def _ended(project: Project) -> Outcome:
    where = f"branch {project.branch} in {project.source_repo or project.repo_path}"
    text = f"{project.id} {project.status}" + (f": {where}" if project.status is ProjectStatus.DELIVERED else "")
    detail = f" ({project.detail})" if project.detail else ""
    return Outcome(_ENDS[project.status], text + detail, {"project": project})


def _given_up(project: Project, still: Standstill) -> Outcome:
    waits: dict[str, object] = {"text": still.text.splitlines()[0]}
    if still.question is not None:
        waits["question_id"] = still.question.id
    if still.approval is not None:
        waits["approval_id"] = still.approval.id
    document: dict[str, object] = {"project": project, "waits_for": waits}
    if still.exit_code == 4:
        document["available_at"] = project.wake_at
    return Outcome(still.exit_code, f"{project.id} waits: {still.text}", document)
