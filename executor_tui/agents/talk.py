"""A conversation as data: what a turn said and did, what follows from it, and when to give up. Pure: a replay ends up where it was."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from executor_tui.agents.client import Json, Message, ModelReply, ToolCall
from executor_tui.agents.lenient import calls_in
from executor_tui.agents.tools import Escalate, canonical, parse_call

CALLS_PER_TURN = 16
NUDGE_AT, LOOP_AT = 3, 6
"""The same call, with nothing changed in between: told at the third time, given up at the sixth."""
SAME_WRITE_AT = 5
"""The very same write or edit made this often, whatever was in between."""
EMPTY_AT, WORDS_AT, MISTAKES_AT = 3, 3, 8
"""Turns in a row with nothing, with words instead of calls, or with nothing but calls that cannot be carried out."""
RECORDED_TEXT_CHARS = 200_000


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's reply as it is recorded. `written` says that the calls were written down in the text rather than made."""

    text: str
    calls: tuple[ToolCall, ...]
    written: bool = False
    finish_reason: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    room: int = 0

    @staticmethod
    def of(reply: ModelReply, tools: tuple[str, ...], room: int) -> "Thought":
        """A reply with its calls understood, made or written down; of more than a turn may hold the first are taken."""
        text = reply.text[:RECORDED_TEXT_CHARS]
        calls, written = reply.tool_calls, False
        if not calls and text:
            calls = calls_in(text, tools)
            written = bool(calls)
        cost = (reply.input_tokens, reply.output_tokens, reply.cost_usd)
        return Thought(text, _told_apart(calls[:CALLS_PER_TURN]), written, reply.finish_reason, reply.model, *cost, room)

    def as_json(self) -> Json:
        """For the journal."""
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in self.calls]
        return {
            "text": self.text, "calls": calls, "written": self.written, "finish_reason": self.finish_reason, "model": self.model,
            "input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "cost_usd": self.cost_usd, "room": self.room,
        }  # fmt: skip

    @staticmethod
    def from_json(data: Mapping[str, object]) -> "Thought":
        """What `as_json` wrote."""
        values = dict(data)
        raw = values.pop("calls")
        assert isinstance(raw, list)
        calls = tuple(ToolCall(str(c["id"]), str(c["name"]), str(c["arguments"])) for c in raw)
        return Thought(calls=calls, **values)  # type: ignore[arg-type]


def _told_apart(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """The same calls with ids that differ, so that each result has its own."""
    ids: set[str] = set()
    told = []
    for number, call in enumerate(calls):
        call_id = call.id if call.id and call.id not in ids else f"{call.id or 'call'}-{number}"
        ids.add(call_id)
        told.append(replace(call, id=call_id))
    return tuple(told)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one call."""

    call_id: str
    text: str
    ok: bool = True
    changed: bool = False

    def as_json(self) -> Json:
        """For the journal."""
        return {"call_id": self.call_id, "text": self.text, "ok": self.ok, "changed": self.changed}


@dataclass(frozen=True, slots=True)
class Acted:
    """What a turn did. `complaint` is what still keeps the work from being accepted, when the agent says that it is complete."""

    results: tuple[Done, ...] = ()
    finished: bool = False
    complaint: str = ""
    commit: str = ""

    def as_json(self) -> Json:
        """For the journal."""
        results = [r.as_json() for r in self.results]
        return {"results": results, "finished": self.finished, "complaint": self.complaint, "commit": self.commit}

    @staticmethod
    def from_json(data: Mapping[str, object]) -> "Acted":
        """What `as_json` wrote."""
        raw = data["results"]
        assert isinstance(raw, list)
        results = tuple(Done(**r) for r in raw)
        return Acted(results, bool(data["finished"]), str(data["complaint"]), str(data["commit"]))


@dataclass(frozen=True, slots=True)
class Talk:
    """Where a conversation stands. `messages` are those after the system prompt and the task, which are made afresh for each call.

    `over` says why it was given up; `tier` is the stronger model asked for, for the next turn only; `room` counts how often the
    conversation had to be squeezed.
    """

    messages: tuple[Message, ...] = ()
    turns: int = 0
    finished: bool = False
    over: str = ""
    tier: str = ""
    why: str = ""
    escalated: bool = False
    room: int = 0
    empties: int = 0
    words: int = 0
    mistakes: int = 0
    repeats: Mapping[str, int] = field(default_factory=dict)
    writes: Mapping[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.finished or bool(self.over)


def after(talk: Talk, thought: Thought, acted: Acted, max_turns: int) -> Talk:
    """The conversation after one more turn."""
    talk = replace(talk, turns=talk.turns + 1, room=max(talk.room, thought.room), tier="", why="")
    talk = _counted(talk, thought, acted)
    talk = replace(talk, messages=(*talk.messages, *_messages(talk, thought, acted)), finished=acted.finished)
    talk = _escalation(talk, thought, acted)
    return replace(talk, over="" if acted.finished else _reason_to_stop(talk, max_turns))


def _counted(talk: Talk, thought: Thought, acted: Acted) -> Talk:
    if not thought.calls:
        empty = not thought.text.strip()
        return replace(talk, empties=talk.empties + 1 if empty else 0, words=0 if empty else talk.words + 1)
    repeats, writes = dict(talk.repeats), dict(talk.writes)
    for call, done in zip(thought.calls, acted.results, strict=False):
        key = canonical(call.name, call.arguments)
        if done.changed and call.name in ("write", "edit"):
            repeats.clear()
            writes[key] = writes.get(key, 0) + 1
        else:
            repeats[key] = repeats.get(key, 0) + 1
    all_wrong = bool(acted.results) and not any(_is_carried_out(r) for r in acted.results)
    mistakes = talk.mistakes + 1 if all_wrong else 0
    return replace(talk, empties=0, words=0, mistakes=mistakes, repeats=repeats, writes=writes)


def _is_carried_out(done: Done) -> bool:
    return not done.text.startswith("error:")


def _reason_to_stop(talk: Talk, max_turns: int) -> str:
    if talk.empties >= EMPTY_AT:
        return f"{talk.empties} empty answers in a row"
    if talk.words >= WORDS_AT:
        return f"{talk.words} answers in a row that only talk"
    if talk.mistakes >= MISTAKES_AT:
        return f"{talk.mistakes} turns in a row with nothing but calls that cannot be carried out"
    looping = next((key for key, times in talk.repeats.items() if times >= LOOP_AT), "")
    looping = looping or next((key for key, times in talk.writes.items() if times >= SAME_WRITE_AT), "")
    if looping:
        return f"the same call over and over: {looping[:120]}"
    return f"all {max_turns} turns used" if talk.turns >= max_turns else ""


def _escalation(talk: Talk, thought: Thought, acted: Acted) -> Talk:
    """A stronger model, once per stage, for the next turn."""
    for call, done in zip(thought.calls, acted.results, strict=False):
        if call.name == "escalate" and done.ok and not talk.escalated:
            wanted = parse_call(call.id, call.name, call.arguments, ("escalate",)).arguments
            assert isinstance(wanted, Escalate)
            return replace(talk, tier=wanted.tier, why=wanted.why, escalated=True)
    return talk


def _messages(talk: Talk, thought: Thought, acted: Acted) -> list[Message]:
    if not thought.calls:
        said: list[Message] = [{"role": "assistant", "content": thought.text}] if thought.text.strip() else []
        return [*said, {"role": "user", "content": _prompt_on(thought, acted)}]
    texts = [_with_nudge(talk, call, done) for call, done in zip(thought.calls, acted.results, strict=False)]
    if thought.written:
        report = "\n\n".join(f"Result of {call.name or 'the call'}:\n{text}" for call, text in zip(thought.calls, texts, strict=False))
        return [{"role": "assistant", "content": thought.text}, {"role": "user", "content": report}]
    wire = [{"id": c.id, "type": "function", "function": {"name": _name(c.name), "arguments": _object(c.arguments)}} for c in thought.calls]
    answers: list[Message] = [
        {"role": "tool", "tool_call_id": call.id, "content": text} for call, text in zip(thought.calls, texts, strict=False)
    ]
    return [{"role": "assistant", "content": thought.text, "tool_calls": wire}, *answers]


def _with_nudge(talk: Talk, call: ToolCall, done: Done) -> str:
    times = talk.repeats.get(canonical(call.name, call.arguments), 0)
    if times < NUDGE_AT:
        return done.text
    return f"{done.text}\n[you have made this very call {times} times and changed nothing in between; do something else, or call finish]"


def _prompt_on(thought: Thought, acted: Acted) -> str:
    if not thought.text.strip():
        return "Your answer was empty. Go on with the task: call a tool, or call finish when it is done."
    if thought.finish_reason == "length":
        return "Your answer was cut off at the length limit. Go on in smaller pieces: one file per call."
    if acted.complaint:
        return f"Not accepted yet: {acted.complaint}. Use the tools to mend that, then call finish."
    return "If your part is complete, call finish. If not, go on: use the tools."


def _name(name: str) -> str:
    """A tool's name as servers accept it back."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "unknown"


def _object(arguments: str) -> str:
    """Arguments as a valid JSON object: servers refuse a history that holds a broken one."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else json.dumps({"value": arguments[:400]})
    except (ValueError, RecursionError):
        return json.dumps({"not_json": arguments[:400]})
