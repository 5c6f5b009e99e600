"""The pipeline of one node: starts projects, puts aside those that must wait, wakes and stops them, takes over those of a dead node."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import aiohttp
from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core import durable
from executor_tui.core.pipeline import records, requests, workflow
from executor_tui.core.pipeline.grounds import Grounds
from executor_tui.core.pipeline.journal import Journal
from executor_tui.core.pipeline.parts import ModelAccess, OpenWorkspace, Parts, WaitError
from executor_tui.core.pipeline.run import fail, run_project
from executor_tui.core.pipeline.travel import Travel
from executor_tui.core.skill_injector import SkillInjector
from executor_tui.domain.agent import AgentState
from executor_tui.domain.change import ChangeStatus
from executor_tui.domain.clock import Clock
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project, ProjectStatus, Question, Where
from executor_tui.store.store import Store

T = TypeVar("T")
log = logging.getLogger(__name__)


class _NoNews(logging.Filter):
    """Drops what DBOS reports, with a traceback, when a workflow is put aside or the node stops: both are our doing."""

    _PARTS = ("was cancelled during execution", "Exception encountered in asynchronous workflow", "Asyncio task cancelled")

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        ours = error is None or isinstance(error, dbos_error.DBOSAwaitedWorkflowCancelledError)
        return not (ours and any(part in str(record.msg) for part in self._PARTS))


PIPELINE_VERSION = durable.APPLICATION_VERSION
"""Bumped by hand, with the application version of all workflows, when the steps of a project change their order or their results."""
RETRY_S, CONSENT_S = 30.0, 3_600.0
ATTEND_S = 60.0
"""How often, at the latest, the projects put aside are looked over."""
ASIDE, OVER_BADLY = "CANCELLED", ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


_NO_NEWS = _NoNews()


@dataclass
class _Run:
    journal: Journal
    task: "asyncio.Task[Any]"


class Pipeline:
    """Use `launch()` before and `shutdown()` after. The others may be called from any task of the loop in between."""

    def __init__(
        self,
        store: Store,
        places: Places,
        config: Config,
        clock: Clock,
        node_id: str,
        model_access: ModelAccess,
        *,
        open_workspace: OpenWorkspace | None = None,
    ) -> None:
        self._grounds = Grounds(places, store, lambda: self._parts.config)
        skills = SkillInjector(config)
        opening = open_workspace or self._grounds.open
        self._parts = Parts(store, places, config, clock, node_id, model_access, opening, skills, Travel(store))
        self._store, self._clock, self._node_id = store, clock, node_id
        self._runs: dict[str, _Run] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._stranded: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._nudge = asyncio.Event()

    # -- life ------------------------------------------------------------------------------------------------------------------------

    async def launch(self) -> None:
        """Bring the durable engine up; unfinished work of this node goes on at once."""
        await self._grounds.sweep()
        self._parts.session = aiohttp.ClientSession()
        workflow.bind(self._run)
        logging.getLogger("dbos").addFilter(_NO_NEWS)
        await durable.launch(self._parts.places, self._store.db.url, self._node_id)
        await self._register_queue()
        await self._tell_of_changed_skills()
        self._tasks = [
            asyncio.create_task(self._follow(), name="pipeline-feed"),
            asyncio.create_task(self._attend_for_ever(), name="pipeline-attend"),
        ]

    async def shutdown(self) -> None:
        """Stop at once. What ran goes on from its last recorded step at the next launch, here or on another node."""
        running = [run.task for run in self._runs.values()]
        for task in (*self._tasks, *running):
            task.cancel()
        await asyncio.gather(*self._tasks, *running, return_exceptions=True)
        await durable.shutdown()
        workflow.bind(None)
        await self._grounds.close()
        if self._parts.session is not None:
            await self._parts.session.close()

    def reconfigure(self, config: Config) -> None:
        """New settings and skills, from the next turn on."""
        self._parts.config = config
        self._parts.skills.reload(config)
        self._nudge.set()

    async def _register_queue(self) -> None:
        parallel = self._parts.config.executor.projects.parallel
        await DBOS.register_queue_async(
            workflow.QUEUE, worker_concurrency=parallel, polling_interval_sec=durable.POLL_S, on_conflict="always_update"
        )  # fmt: skip

    async def _tell_of_changed_skills(self) -> None:
        skills = self._parts.skills
        for skill in skills.changed:
            text = f"skill {skill.name} in {skill.folder} is not what it was; look at it, then: executor skills add {skill.folder}"
            await self._store.events.add(Event("skill.changed", text, Level.WARNING, subject_id=skill.name))
        for folder, reason in skills.library.left_out:
            await self._store.events.add(Event("skill.left_out", reason, Level.WARNING, subject_id=folder))
        skills.lock()

    # -- what can be asked of it -----------------------------------------------------------------------------------------------------

    async def start(self, project: Project) -> None:
        """Begin or continue the durable workflow of a project. Starting one that runs does nothing."""
        async with self._lock(project.id):
            status = await self._status(project.id)
            if status is None:
                await self._begin(project)
            elif status == ASIDE:
                await self._wake(project.id)
            elif status in OVER_BADLY and not project.status.final:
                hint = f"go back to an earlier step: executor project fork {project.id} --from STEP"
                await fail(self._parts, project.id, "its workflow ended in an error; see the log", hint)

    async def resume(self, projects: Sequence[Project]) -> Mapping[str, str]:
        """`start` for many: those whose workflow goes on by itself are found in one look. By id, what kept the others from it."""
        found = await DBOS.list_workflows_async(name=workflow.NAME, status=durable.UNFINISHED, load_input=False, load_output=False)
        at_work, failed = {w.workflow_id for w in found}, dict[str, str]()
        for project in projects:
            if project.id not in at_work:
                try:
                    await self.start(project)
                except ExecutorError as exc:
                    failed[project.id] = exc.message
        return failed

    async def cancel(self, project_id: str, by: str = "operator") -> Project:
        """Stop a project: its row at once, what runs for it within moments. Raises NotFoundError, ConflictError."""
        project = await requests.cancel_project(self._store, project_id, by)
        self._interrupt(project_id)
        return project

    async def fork(self, project_id: str, from_step: str | int, by: str = "operator") -> Project:
        """A new project that goes on from a step of this one; the leader starts it. Raises NotFoundError, UsageError."""
        return await requests.fork_project(self._store, project_id, str(from_step), by)

    async def answer(self, item_id: str, text: str, by: str = "operator") -> Question:
        """Answer a project's question. Raises NotFoundError, ConflictError, UsageError."""
        return await requests.answer_project(self._store, item_id, text, by)

    async def adopt(self, dead_executor_id: str) -> int:
        """Take over the unfinished workflows of a node that is gone; says how many. Only when that node cannot write any more."""
        found = await DBOS.list_workflows_async(
            executor_id=dead_executor_id, status=["PENDING"], load_input=False, load_output=False
        )  # fmt: skip
        projects = [w.workflow_id for w in found if w.name == workflow.NAME]
        others = [w.workflow_id for w in found if w.name != workflow.NAME]
        if projects:
            await DBOS.resume_workflows_async(projects, queue_name=workflow.QUEUE)
        if others:
            await DBOS.resume_workflows_async(others)
        return len(found)

    # -- beginning -------------------------------------------------------------------------------------------------------------------

    async def _begin(self, project: Project) -> None:
        origin_id, number = requests.origin_of(project)
        if origin_id and number > 0:
            await self._begin_fork(project, origin_id, number)
        else:
            with SetWorkflowID(project.id):
                await DBOS.enqueue_workflow_async(workflow.QUEUE, workflow.project_workflow)
        crash_point("pipeline.enqueued")
        await self._store.projects.update(project.id, node_id=self._node_id)

    async def _begin_fork(self, project: Project, origin_id: str, number: int) -> None:
        """The origin's journal up to the step, and a clone of its repository as it was then."""
        origin = await self._store.projects.get(origin_id)
        last = number + 1 if await self._is_turn(f"{origin_id}.{number}") else number
        head = await self._head_after(origin_id, last)
        if not head:
            await fail(self._parts, project.id, f"the journal of project {origin_id} does not reach step {number}")
            return
        await self._store.projects.update(project.id, head=head, round=origin.round)
        project = await self._store.projects.get(project.id)
        workspace = await (self._grounds.mirror if project.where is Where.LXC else self._parts.workspace)(project)
        await requests.copy_steps(self._store, origin, project, last)
        values = {"repo_path": str(workspace.root), "head": head, "workflow_id": project.id}
        await self._store.projects.update(project.id, None, None, **values)
        crash_point("pipeline.forked")
        with SetWorkflowID(project.id):
            await DBOS.fork_workflow_async(
                origin_id, last + 1, queue_name=workflow.QUEUE, application_version=PIPELINE_VERSION
            )  # fmt: skip

    async def _is_turn(self, step_id: str) -> bool:
        """A turn is two entries of the journal: thinking, which gives the step its id, and acting."""
        step = await self._store.steps.find(step_id)
        return step is not None and step.kind == "turn"

    async def _head_after(self, workflow_id: str, last: int) -> str:
        """The commit a project stood on after the entry of this number; empty when it did not come that far."""
        head, reached = "", 0
        for entry in await DBOS.list_workflow_steps_async(workflow_id):
            if entry["function_id"] <= last:
                reached = max(reached, entry["function_id"])
                output = entry["output"]
                if isinstance(output, dict):
                    name = "head" if entry["function_name"] == "prepare" else "commit"
                    made_one = entry["function_name"] != "test"
                    head = str(output.get(name) or head) if made_one else head
        return head if reached == last else ""

    # -- running -------------------------------------------------------------------------------------------------------------------

    async def _run(self, project_id: str) -> str:
        """One run of a project's workflow in this process."""
        task = asyncio.current_task()
        assert task is not None
        run = _Run(Journal(self._parts, project_id, partial(self._put_aside, project_id)), task)
        self._runs[project_id] = run
        try:
            return await run_project(self._parts, run.journal, project_id)
        except Exception as exc:
            log.exception("project %s", project_id)
            await fail(self._parts, project_id, f"an error in Executor itself: {type(exc).__name__}; see the log")
            raise
        finally:
            if self._runs.get(project_id) is run:
                del self._runs[project_id]
                if await self._grounds.let_go(project_id):
                    self._parts.workspaces.pop(project_id, None)
            self._nudge.set()

    def _interrupt(self, project_id: str) -> None:
        run = self._runs.get(project_id)
        if run is not None:
            run.journal.cancelled.set()

    # -- waiting and waking ----------------------------------------------------------------------------------------------------------

    async def _put_aside(self, project_id: str, wait: WaitError) -> None:
        """The row says what is waited for, then the workflow lets go of its place. It is woken by `_wake`, which looks at the row."""
        try:
            await self._tell_waiting(project_id, wait)
        except StoreError as exc:
            log.error("project %s: %s", project_id, exc.message)
            self._stranded.add(project_id)
        crash_point("pipeline.waiting_told")
        await _detached(DBOS.cancel_workflow_async(project_id))
        crash_point("pipeline.put_aside")
        self._nudge.set()

    async def _tell_waiting(self, project_id: str, wait: WaitError) -> None:
        project = await self._store.projects.get(project_id)
        target, kind = _WAITS.get(wait.wait, (ProjectStatus.RUNNING, "project.waiting"))
        values: dict[str, Any] = {"detail": wait.detail}
        if target is ProjectStatus.RUNNING:
            retry_s = CONSENT_S if wait.change_id else RETRY_S
            values["wake_at"] = wait.wake_at or self._clock.now() + timedelta(seconds=retry_s)
        await self._await_change(project_id, wait.change_id)
        if wait.wait != "quarantine":
            until = f" until {values['wake_at']:%H:%M:%S} UTC" if "wake_at" in values else ""
            event = Event(kind, f"project {project_id} waits{until}: {wait.detail}", Level.WARNING, wait.agent_id, project_id)
            source = (ProjectStatus.RUNNING, ProjectStatus.ASKING)
            await self._store.projects.move(project_id, source, target, None if project.detail == wait.detail else event, **values)
        for agent in await self._store.agents.at_projects():
            if agent.project_id == project_id:
                await records.waiting(self._parts, agent.id, wait.detail)

    async def _await_change(self, project_id: str, change_id: str) -> None:
        """Note which change is waited for, so that its consent wakes the project; "" for none."""
        name = f"pipeline.change.{project_id}"
        if change_id:
            await self._store.notes.put(name, change_id)
        elif await self._store.notes.get(name) is not None:
            await self._store.notes.delete(name)

    async def _change_moved(self, project_id: str) -> bool:
        """Whether the change that a project waits for no longer waits itself."""
        change_id = await self._store.notes.get(f"pipeline.change.{project_id}")
        change = await self._store.changes.find(change_id) if isinstance(change_id, str) else None
        return change is not None and change.status is not ChangeStatus.WAITING

    async def _wake(self, project_id: str) -> bool:
        """Put a project that was put aside back to work if it can go on now. Under its lock, and only once: the row is moved first."""
        if await self._status(project_id) != ASIDE:
            return False
        project = await self._store.projects.find(project_id)
        if project is None or not await self._can_go_on(project):
            return False
        event = Event("project.resumed", f"project {project_id} goes on", project_id=project_id) if project.detail else None
        source = (project.status,)
        if not await self._store.projects.move(project_id, source, ProjectStatus.RUNNING, event, detail="", wake_at=None):
            return False
        crash_point("pipeline.woken")
        self._stranded.discard(project_id)
        await _detached(DBOS.resume_workflow_async(project_id, queue_name=workflow.QUEUE))
        return True

    async def _can_go_on(self, project: Project) -> bool:
        if project.status is ProjectStatus.ASKING:
            return all(q.answered_at is not None for q in await self._store.questions.of(project.id))
        if project.status is not ProjectStatus.RUNNING:
            return False
        return project.wake_at is None or project.wake_at <= self._clock.now() or await self._change_moved(project.id)

    async def _attend_for_ever(self) -> None:
        """Look after the projects whenever something changed, and when the next one is due."""
        while True:
            try:
                due_s = await self._attend()
            except StoreError as exc:
                log.error("projects: %s", exc.message)
                due_s = RETRY_S
            await self._nudged_within(due_s)

    async def _nudged_within(self, seconds: float) -> None:
        timer = asyncio.create_task(self._clock.sleep(seconds))
        nudge = asyncio.create_task(self._nudge.wait())
        try:
            await asyncio.wait({timer, nudge}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            nudge.cancel()
            await asyncio.gather(timer, nudge, return_exceptions=True)
        self._nudge.clear()

    async def _attend(self) -> float:
        """Interrupt what was cancelled, wake what can go on; returns in how many seconds the next one is due."""
        for project_id in list(self._runs):
            project = await self._store.projects.find(project_id)
            if project is not None and project.status is ProjectStatus.CANCELLED:
                self._interrupt(project_id)
        await self._tell_approvals()
        if not await self._leads():
            return ATTEND_S
        due_s = ATTEND_S
        for project in await self._store.projects.in_status(ProjectStatus.RUNNING, ProjectStatus.ASKING):
            if project.status is ProjectStatus.RUNNING and project.wake_at is None and project.id not in self._stranded:
                continue
            if await self._can_go_on(project):
                async with self._lock(project.id):
                    await self._wake(project.id)
            elif project.wake_at is not None:
                due_s = min(due_s, max(0.05, (project.wake_at - self._clock.now()).total_seconds()))
        return due_s

    async def _tell_approvals(self) -> None:
        """An agent whose call waits for consent waits; when it is decided, it works again."""
        if not self._runs:
            return
        pending = {(a.agent_id, a.project_id): a for a in await self._store.approvals.pending()}
        for agent in await self._store.agents.at_projects():
            if agent.project_id not in self._runs:
                continue
            approval = pending.get((agent.id, agent.project_id))
            if approval is not None and agent.state is AgentState.BUSY:
                await records.waiting(self._parts, agent.id, f"approval {approval.id}: {approval.subject}")
            elif approval is None and agent.state is AgentState.WAITING and agent.reason.startswith("approval "):
                await self._store.agents.set_state(agent.id, AgentState.BUSY)

    async def _leads(self) -> bool:
        leader = await self._store.leases.leader()
        return leader is None or leader.holder == self._node_id

    async def _follow(self) -> None:
        async for topics in self._store.feed():
            if topics & {"project", "questions", "approvals", "changes"}:
                self._nudge.set()

    async def _status(self, project_id: str) -> str | None:
        found = await DBOS.list_workflows_async(workflow_ids=[project_id], load_input=False, load_output=False)
        return found[0].status if found else None

    @asynccontextmanager
    async def _lock(self, project_id: str) -> AsyncIterator[None]:
        async with self._locks.setdefault(project_id, asyncio.Lock()):
            yield


_WAITS: dict[str, tuple[ProjectStatus, str]] = {
    "answer": (ProjectStatus.ASKING, "project.asking"),
    "keys": (ProjectStatus.QUEUED, "project.waiting"),
}
"""What is waited for → the status that says so; anything else is a project that runs and tries again by itself."""


async def _detached(work: Coroutine[Any, Any, T]) -> T:
    """Do this outside any workflow: DBOS would otherwise make it a step of the one we are in."""
    return await contextvars.Context().run(asyncio.get_running_loop().create_task, work)
