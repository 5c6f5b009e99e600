"""The rows that tell of the work as it goes: steps, the project, its agents, their checkpoints. What the console shows is these."""

from collections.abc import Sequence
from dataclasses import replace

from executor_tui.agents.roster import PROJECT_AGENTS
from executor_tui.agents.talk import Acted, Thought
from executor_tui.agents.tools import one_line, told
from executor_tui.core.pipeline.parts import Parts, WaitError
from executor_tui.domain.agent import Agent, AgentState, AgentType, Role
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Project, Stage, Step, StepStatus
from executor_tui.domain.recovery import Checkpoint

PROMPT_CHARS, REPLY_CHARS, ARGUMENT_CHARS = 4_000, 20_000, 4_000
SUMMARY_CHARS = 160


async def take_agent(parts: Parts, role: Role) -> Agent:
    """An agent of the role that takes work: a free one, else any; made when the registry has none. Raises WaitError when all pause."""
    agents = await parts.store.agents.of_role(role)
    if not agents:
        agent = Agent(f"{role}-001", PROJECT_AGENTS[role].title, AgentType.PROJECT, role, state_since=parts.clock.now())
        await parts.store.agents.put(agent, Event("agent.registered", f"{agent.name} joined the fleet", agent_id=agent.id))
        return agent
    ready = [a for a in agents if not a.paused]
    if not ready:
        names = ", ".join(a.id for a in agents)
        raise WaitError("pause", f"{names} is paused; let it work again with: executor fleet resume {agents[0].id}", agent_id=agents[0].id)
    return next((a for a in ready if a.state not in (AgentState.BUSY, AgentState.WAITING)), ready[0])


async def busy(parts: Parts, agent: Agent, project: Project, task: str, model: str, step_id: str) -> None:
    """The agent works on this now: its row, and a checkpoint of where it is."""
    now = parts.clock.now()
    values = {"task": task, "project_id": project.id, "model": model, "progress_at": now}
    await parts.store.agents.set_state(agent.id, AgentState.BUSY, "", **values)
    await checkpoint(parts, agent.id, AgentState.BUSY, project, task, step_id)


async def waiting(parts: Parts, agent_id: str, reason: str) -> None:
    """The agent waits for something that is not its own to do."""
    if agent_id and await parts.store.agents.find(agent_id) is not None:
        await parts.store.agents.set_state(agent_id, AgentState.WAITING, one_line(reason))


async def checkpoint(parts: Parts, agent_id: str, state: AgentState, project: Project, task: str, step_id: str) -> None:
    """What the agent was doing, up to which step, and what it holds outside. On disk when this returns."""
    number = int(step_id.rpartition(".")[2] or 0)
    data: dict[str, object] = {"stage": str(project.stage), "round": project.round, "head": project.head}
    holds = (f"workspace:{project.repo_path}",) if project.repo_path else ()
    await parts.store.checkpoints.save(Checkpoint(agent_id, state, task, project.id, project.workflow_id, number, holds, data))


async def release_agents(parts: Parts, project_id: str, but: Role | None = None) -> None:
    """Agents that worked on this project are free again, all but those of one role."""
    for agent in await parts.store.agents.at_projects():
        if agent.project_id == project_id and agent.role is not but:
            await parts.store.agents.set_state(agent.id, AgentState.ONLINE, "", task="", project_id=None, progress_at=parts.clock.now())
            await parts.store.checkpoints.save(Checkpoint(agent.id, AgentState.ONLINE))


# -- steps -------------------------------------------------------------------------------------------------------------------------------


async def turn_begun(parts: Parts, step: Step) -> None:
    """A model is about to be asked."""
    await parts.store.steps.put(replace(step, prompt=step.prompt[:PROMPT_CHARS], started_at=step.started_at or parts.clock.now()))


async def turn_thought(parts: Parts, step_id: str, thought: Thought) -> None:
    """The model has answered; its calls are not carried out yet."""
    step = await parts.store.steps.get(step_id)
    calls = tuple(_call_row(c.name, c.arguments, None, True) for c in thought.calls)
    tokens = (thought.input_tokens, thought.output_tokens)
    summary = summary_of(thought)
    await parts.store.steps.put(
        replace(
            step, summary=summary, model=thought.model or step.model, reply=thought.text[:REPLY_CHARS], tool_calls=calls,
            input_tokens=tokens[0], output_tokens=tokens[1], cost_usd=thought.cost_usd,
        )
    )  # fmt: skip


async def turn_acted(parts: Parts, step_id: str, thought: Thought, acted: Acted, commit: str | None) -> None:
    """The calls are carried out; with a `commit` (perhaps an empty one, for a turn that changed nothing) the step is done."""
    step = await parts.store.steps.get(step_id)
    rows = tuple(_call_row(c.name, c.arguments, d.text, d.ok) for c, d in zip(thought.calls, acted.results, strict=False))
    step = replace(step, tool_calls=rows)
    if commit is None:
        await parts.store.steps.put(step)
        return
    step = replace(step, status=StepStatus.DONE, commit=commit, ended_at=parts.clock.now())
    event = Event(
        "step.done", f"{step.stage} {step.round}: {step.summary}", Level.INFO, step.agent_id, step.project_id, step.id,
        {"stage": str(step.stage), "round": step.round, "commit": commit, "model": step.model, "cost_usd": step.cost_usd},
    )  # fmt: skip
    await parts.store.steps.put(step, event)


async def turn_failed(parts: Parts, step_id: str, reason: str) -> None:
    """The model could not be asked, for a reason that waiting does not mend."""
    step = await parts.store.steps.get(step_id)
    summary = one_line(reason, SUMMARY_CHARS)
    await parts.store.steps.put(replace(step, status=StepStatus.FAILED, summary=summary, ended_at=parts.clock.now()))


async def step_done(parts: Parts, step: Step, event: Event | None = None) -> None:
    """A step that is not a model's turn: a test run, its evidence, a delivery."""
    now = parts.clock.now()
    await parts.store.steps.put(replace(step, started_at=step.started_at or now, ended_at=now), event)


def _call_row(name: str, arguments: str, result: str | None, ok: bool) -> dict[str, object]:
    row: dict[str, object] = {"name": name, "arguments": arguments[:ARGUMENT_CHARS], "ok": ok}
    return row if result is None else {**row, "result": result}


def summary_of(thought: Thought) -> str:
    """A turn in one line: what it does, or what it says."""
    if not thought.calls:
        return one_line(thought.text, SUMMARY_CHARS) or "an empty answer"
    return one_line(", ".join(told(c.name, c.arguments) for c in thought.calls), SUMMARY_CHARS)


def stage_of(role: Role) -> Stage:
    """The stage that is a role's."""
    return Stage(role.value)


def last_words(messages: Sequence[dict[str, object]]) -> str:
    """The newest thing a model was told, for the step's row."""
    return str(messages[-1].get("content") or "") if messages else ""
