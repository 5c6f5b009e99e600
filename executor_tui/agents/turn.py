"""One turn of an agent: ask the model, then carry out what it wants. Each half can be recorded by itself and done again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from executor_tui.agents import tools
from executor_tui.agents.base import AgentContext, ProjectAgent
from executor_tui.agents.client import ContextTooLongError, Message, ModelClient, ModelRequest
from executor_tui.agents.context import ROOMS, Room, fitted
from executor_tui.agents.talk import Acted, Done, Talk, Thought
from executor_tui.agents.toolbox import ReadSkill, Research, Toolbox, offered
from executor_tui.workspaces.base import OnOutput, RunLimits, Workspace

SystemPrompt = Callable[[int | None], str]
"""The system prompt, given how many tokens of skills there is room for (None: as many as the role's settings say)."""
DOCUMENT_CHARS = (24_000, 6_000, 1_500)
"""How much of each document the task shows, by room."""


@dataclass(frozen=True)
class Surroundings:
    """What a turn needs besides the conversation."""

    agent: ProjectAgent
    context: AgentContext
    workspace: Workspace
    system: SystemPrompt
    read_skill: ReadSkill
    limits: RunLimits = field(default_factory=RunLimits)
    on_output: OnOutput | None = None
    research: Research | None = None
    """Deep search, where something can search; None takes the tool away."""


def mark_for(step_id: str) -> str:
    """The word that fences data off in this step: the same when the step is done again, and not to be guessed from inside a file."""
    return "data-" + hashlib.sha256(f"fence {step_id}".encode()).hexdigest()[:12]


async def think(around: Surroundings, talk: Talk, client: ModelClient, model: str, step_id: str) -> Thought:
    """Ask the model for the next turn, in smaller and smaller room when it does not fit. Raises what `ModelClient.complete` raises."""
    allowed = offered(around.agent.rights, around.research is not None)
    schemas = [tools.schema_of(name) for name in allowed]
    for number in range(talk.room, len(ROOMS)):
        messages = messages_for(around, talk, number, step_id)
        request = ModelRequest(model, messages, schemas, ROOMS[number].answer_tokens, step_id, talk.why)
        try:
            return Thought.of(await client.complete(request), allowed, number)
        except ContextTooLongError:
            if number + 1 == len(ROOMS):
                raise
    raise AssertionError("unreachable: the last room returns or raises")


def messages_for(around: Surroundings, talk: Talk, number: int, step_id: str) -> list[Message]:
    """The conversation as it is sent: system prompt, task, and as much of what was said as the room holds."""
    room: Room = ROOMS[number]
    mark = mark_for(step_id)
    system = around.system(room.skill_tokens)
    opening = around.agent.opening(around.context, mark, DOCUMENT_CHARS[number])
    first: list[Message] = [{"role": "system", "content": system}, {"role": "user", "content": opening}]
    return fitted([*first, *talk.messages], room.context_tokens)


async def act(around: Surroundings, talk: Talk, thought: Thought, step_id: str) -> Acted:
    """Carry out the calls of a turn, in order. Mistakes become results. Raises SandboxUnavailableError and UnreachableError."""
    if not thought.calls:
        return await _act_on_words(around, talk, thought)
    toolbox = Toolbox(
        around.workspace, around.agent.rights, mark_for(step_id), around.read_skill, around.limits, around.on_output,
        around.research,
    )  # fmt: skip
    results = []
    for call in thought.calls:
        done = await toolbox.call(call.id, call.name, call.arguments)
        results.append(Done(call.id, done.text, done.ok, done.changed))
    says_done = [n for n, call in enumerate(thought.calls) if call.name == "finish" and results[n].ok]
    if not says_done:
        return Acted(tuple(results))
    complaint = await around.agent.check(around.workspace, around.context)
    for n in says_done if complaint else ():
        results[n] = replace(results[n], text=f"not accepted yet: {complaint}", ok=False)
    return Acted(tuple(results), finished=not complaint, complaint=complaint)


async def _act_on_words(around: Surroundings, talk: Talk, thought: Thought) -> Acted:
    """An answer without a call: perhaps the document itself, perhaps the end, perhaps an announcement.

    Where the work is one document, it is looked at as it stands. Elsewhere only a second answer in words means that the work is done.
    """
    text = _unfenced(thought.text)
    if not text or thought.finish_reason == "length":
        return Acted()
    if around.agent.artefact and _looks_like_a_document(text):
        await around.workspace.write(around.agent.artefact, text + "\n")
    complaint = await around.agent.check(around.workspace, around.context)
    sure = bool(around.agent.artefact) or talk.words >= 1
    return Acted(finished=sure and not complaint, complaint=complaint)


def _unfenced(text: str) -> str:
    """Text without the one fence that some models put round a whole document."""
    stripped = text.strip()
    for opening in ("```markdown\n", "```md\n"):
        if stripped.startswith(opening) and stripped.endswith("```"):
            return stripped.removeprefix(opening).removesuffix("```").strip()
    return stripped


def _looks_like_a_document(text: str) -> bool:
    lines: Sequence[str] = [line for line in text.splitlines() if line.strip()]
    return len(lines) >= 3 and any(line.lstrip().startswith("#") for line in lines)
