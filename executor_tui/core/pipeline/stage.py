"""One role's part: it thinks and acts, turn by turn, until its work is accepted or there is no more to be had from it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from executor_tui.agents.base import AgentContext, ProjectAgent, text_of
from executor_tui.agents.client import (
    ContextTooLongError,
    Json,
    ModelClient,
    ModelError,
    ModelRefusedError,
)
from executor_tui.agents.roster import PROJECT_AGENTS
from executor_tui.agents.talk import Acted, Done, Talk, Thought, after
from executor_tui.agents.tools import one_line
from executor_tui.agents.turn import Surroundings, act, think
from executor_tui.core.pipeline import records, waits
from executor_tui.core.pipeline.asking import ask
from executor_tui.core.pipeline.looking import research_for
from executor_tui.core.pipeline.parts import ProjectFailedError, number_in, text_in
from executor_tui.core.pipeline.work import Work, message_for
from executor_tui.domain.agent import Role
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import BudgetError, ConsentError, NothingAvailableError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Step, StepStatus
from executor_tui.workspaces.base import Workspace
from executor_tui.workspaces.errors import SandboxUnavailableError, UnreachableError, WorkspaceError

FILES_SHOWN, DOCUMENT_CHARS, SAID_CHARS = 500, 24_000, 240
REFUSED, KIND = "refused", "kind"


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How a stage ended: accepted by its own check, or given up for a reason."""

    accepted: bool
    reason: str
    turns: int
    said: str = ""
    """The end of what it said last, for whoever must decide."""


async def run_stage(work: Work, role: Role, *, feedback: str = "", test_command: str = "") -> StageEnd:
    """Let a role do its part, starting from `work.head` and moving it along. Raises what the journal raises."""
    agent = PROJECT_AGENTS[role]
    context, limit = await _begin(work, agent, feedback, test_command)
    talk, thought = Talk(), Thought("", ())
    while not talk.ended:
        asked = await work.journal.step(f"{role}.think", lambda step_id, now=talk: _think(work, agent, context, now, step_id))  # type: ignore[misc]
        if REFUSED in asked:
            await _ask_about_refusal(work, agent, asked)
            continue
        thought, think_id = Thought.from_json(_object(asked, "thought")), text_in(asked, "step")
        done = await work.journal.step(
            f"{role}.act",
            lambda step_id, now=talk, said=thought, turn=think_id: _act(work, agent, context, now, said, turn),  # type: ignore[misc]
        )
        acted = Acted.from_json(done)
        work.head = acted.commit or work.head
        talk = after(talk, thought, acted, limit)
    return StageEnd(talk.finished, talk.over, talk.turns, one_line(thought.text, SAID_CHARS))


def _object(data: Json, name: str) -> Json:
    value = data[name]
    assert isinstance(value, dict)
    return value


# -- the beginning -----------------------------------------------------------------------------------------------------------------------


async def _begin(work: Work, agent: ProjectAgent, feedback: str, test_command: str) -> tuple[AgentContext, int]:
    """The stage is entered in the rows; what the agent is told, and how many turns it has, is fixed, so that a replay finds the same."""

    async def body(step_id: str) -> Json:
        parts = work.parts
        await records.release_agents(parts, work.project_id, but=agent.role)
        event = Event(
            "project.stage_started", f"{agent.title} begins" + (f" round {work.round}" if work.round else ""), project_id=work.project_id,
            subject_id=step_id, data={"stage": str(agent.role), "round": work.round},
        )  # fmt: skip
        await parts.store.projects.update(work.project_id, event, stage=records.stage_of(agent.role), round=work.round, detail="")
        workspace = await work.clean_workspace()
        context = AgentContext(
            goal=work.goal, toolchain=work.prepared.toolchain, round=work.round, files=tuple((await workspace.list_files())[:FILES_SHOWN]),
            documents={path: (await text_of(workspace, path))[:DOCUMENT_CHARS] for path in agent.wants}, test_command=test_command,
            feedback=feedback, hints=tuple(work.hints), existing=work.prepared.existing,
        )  # fmt: skip
        turns = parts.config.executor.projects.coder_turns if agent.role is Role.CODER else agent.max_turns
        return {"context": asdict(context), "turns": turns}

    found = await work.journal.step(f"{agent.role}.begin", body)
    kept = _object(found, "context")
    lists = {"files": tuple(_strings(kept["files"])), "hints": tuple(_strings(kept["hints"]))}
    return AgentContext(**{**kept, **lists}), number_in(found, "turns")  # type: ignore[arg-type]


def _strings(value: object) -> Sequence[str]:
    return [str(v) for v in value] if isinstance(value, list | tuple) else []


async def _surroundings(work: Work, agent: ProjectAgent, context: AgentContext, workspace: Workspace, step_id: str) -> Surroundings:
    skills = work.parts.skills

    def system(skill_tokens: int | None) -> str:
        return skills.generate_system_prompt(agent.role, skill_tokens)

    research = await research_for(work, agent, step_id)
    return Surroundings(agent, context, workspace, system, skills.read_skill, work.parts.limits, research=research)


# -- thinking ----------------------------------------------------------------------------------------------------------------------------


async def _think(work: Work, agent: ProjectAgent, context: AgentContext, talk: Talk, step_id: str) -> Json:
    """Ask the model. What waiting mends puts the step aside; what a person must mend is the result."""
    parts = work.parts
    project = await parts.store.projects.get(work.project_id)
    member = await records.take_agent(parts, agent.role)
    if project.budget_usd is not None and project.cost_usd >= project.budget_usd:
        return {REFUSED: f"the project's budget of ${project.budget_usd:.2f} is used up (${project.cost_usd:.4f} spent)", KIND: "budget"}
    model = f"executor/{talk.tier}" if talk.tier else parts.skills.model_for(agent.role)
    task = f"turn {talk.turns + 1}" + (f" of round {work.round}" if work.round else "")
    await records.busy(parts, member, project, f"{agent.title}: {task}", model, step_id)
    prompt = records.last_words(talk.messages) or agent.task(context)
    stage, summary = records.stage_of(agent.role), f"asking {model}"
    step = Step(step_id, project.id, 0, stage, work.round, "turn", summary, StepStatus.RUNNING, member.id, model, prompt)
    await records.turn_begun(parts, step)
    around = await _surroundings(work, agent, context, await work.workspace(), step_id)
    try:
        thought = await think(around, talk, await _client(work, member.id), model, step_id)
    except NothingAvailableError as exc:
        raise await waits.for_model(parts, project, member.id, exc) from exc
    except ModelError as exc:
        raise await waits.for_server(parts, project, member.id, exc) from exc
    except (BudgetError, ConsentError, ContextTooLongError, ModelRefusedError) as exc:
        await records.turn_failed(parts, step_id, exc.message)
        return {REFUSED: exc.message, KIND: "budget" if isinstance(exc, BudgetError) else "refused"}
    crash_point("pipeline.thought")
    await waits.over(parts, project.id)
    await records.turn_thought(parts, step_id, thought)
    crash_point("pipeline.thought_told")
    return {"thought": thought.as_json(), "step": step_id}


async def _client(work: Work, agent_id: str) -> ModelClient:
    base_url, secret = await work.parts.model_access(agent_id, work.project_id)
    gateway = work.parts.config.executor.gateway
    deadline_s = gateway.request_deadline_s + gateway.approval_wait_s + 30.0
    assert work.parts.session is not None
    return ModelClient(work.parts.session, base_url, work.parts.clock, secret, deadline_s)


async def _ask_about_refusal(work: Work, agent: ProjectAgent, asked: Json) -> None:
    """Something only the user can mend stands in the way. Returns when the turn should be tried again."""
    kind = text_in(asked, KIND)
    answer = await ask(work, kind, f"{agent.title} cannot go on: {text_in(asked, REFUSED)}")
    if answer.stop:
        raise ProjectFailedError(f"stopped by the user: {text_in(asked, REFUSED)}")
    if answer.hint:
        work.hints.append(answer.hint)


# -- acting ------------------------------------------------------------------------------------------------------------------------------


async def _act(work: Work, agent: ProjectAgent, context: AgentContext, talk: Talk, thought: Thought, turn_id: str) -> Json:
    """Carry out a turn and commit what it changed; found done by an earlier try, it is not done again."""
    parts = work.parts
    earlier = await _done_before(work, thought, turn_id)
    if earlier is None:
        workspace = await work.clean_workspace()
        acted = await act(await _surroundings(work, agent, context, workspace, turn_id), talk, thought, turn_id)
        crash_point("pipeline.acted")
        await records.turn_acted(parts, turn_id, thought, acted, None)
        crash_point("pipeline.results_told")
        acted = await _committed(work, workspace, agent, thought, acted, turn_id)
        crash_point("pipeline.committed")
    else:
        acted = earlier
    await records.turn_acted(parts, turn_id, thought, acted, acted.commit)
    await parts.store.projects.update(work.project_id, head=acted.commit or work.head)
    crash_point("pipeline.commit_told")
    return acted.as_json()


async def _done_before(work: Work, thought: Thought, turn_id: str) -> Acted | None:
    commit = await work.commit_made_by(turn_id)
    step = await work.parts.store.steps.find(turn_id)
    if not commit or step is None or len(step.tool_calls) != len(thought.calls) or any("result" not in row for row in step.tool_calls):
        return None
    results = tuple(
        Done(call.id, str(row["result"]), bool(row["ok"]), call.name in ("write", "edit", "run") and bool(row["ok"]))
        for call, row in zip(thought.calls, step.tool_calls, strict=True)
    )
    finished = any(call.name == "finish" and done.ok for call, done in zip(thought.calls, results, strict=True))
    return Acted(results, finished, commit=commit)


async def _committed(work: Work, workspace: Workspace, agent: ProjectAgent, thought: Thought, acted: Acted, turn_id: str) -> Acted:
    """What the turn changed, as a commit. What cannot be committed is undone, and the agent is told."""
    subject = f"{agent.title}: {records.summary_of(thought)}"
    try:
        commit = await workspace.commit(message_for(subject, turn_id), agent.title)
    except (SandboxUnavailableError, UnreachableError):
        raise
    except WorkspaceError as exc:
        await workspace.reset_to(work.head)
        text = f"error: {exc.message}; everything this turn changed was undone"
        results = tuple(replace(done, text=text, ok=False, changed=False) for done in acted.results)
        event = Event("step.undone", f"{agent.title}: {exc.message}", Level.WARNING, project_id=work.project_id, subject_id=turn_id)
        await work.parts.store.events.add(event)
        return Acted(results, complaint=exc.message)
    return Acted(acted.results, acted.finished, acted.complaint, commit if commit != work.head else "")
