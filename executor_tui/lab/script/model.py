"""The scripted model: it reads the conversation it is sent, finds the goal, the role and how far they are, and says what comes next.

It keeps nothing between calls, so the same conversation always gets the same answer. It knows the goals of `GOALS` and no other; what it
knows of requests in words, for the router and for containers, is in `requests`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from executor_tui.lab.script import requests, searching
from executor_tui.lab.script.goal import PYTEST, UNITTEST, Goal
from executor_tui.lab.script.goals import cache, contents, temperature
from executor_tui.lab.upstreams.script import Answer, ToolCall, text_of

_GOALS: tuple[Goal, ...] = (cache.GOAL, temperature.GOAL, contents.GOAL)
GOALS: tuple[str, ...] = tuple(goal.text for goal in _GOALS)
"""The goals it knows, as a user types them."""

_ROLE = re.compile(r"You are (?:the )?(PM|Architect|Coder|QA) of a small software team")
_ROUND = re.compile(r"^Round (\d+):", re.MULTILINE)


class ScriptedModel:
    """A `Script` for the lab's providers."""

    def __call__(self, request: dict[str, Any]) -> Answer:
        """The next turn of whoever is asked."""
        messages: Sequence[Mapping[str, Any]] = request.get("messages") or []
        found = searching.answer(request)
        if found is not None:
            return found
        in_words = requests.answer(messages)
        if in_words is not None:
            return in_words
        role = _role_in(messages)
        task = text_of(next((m for m in messages if m.get("role") == "user"), {}))
        goal = next((g for g in _GOALS if g.text in task), None)
        if role is None or goal is None:
            return Answer(_not_known(role))
        turns = sum(1 for m in messages if m.get("role") == "assistant")
        steps = _steps(role, goal, task)
        if role == "PM" and goal.question and _searches(request):
            steps = [_call("deep_search", question=goal.question), *steps]
        return steps[turns] if turns < len(steps) else _call("finish", summary="Nothing is left to do.")


def _searches(request: Mapping[str, Any]) -> bool:
    """Whether deep search is offered, or was when the conversation began."""
    offered = [(tool.get("function") or {}).get("name") for tool in request.get("tools") or []]
    first = next((m for m in request.get("messages") or [] if m.get("role") == "assistant"), None)
    if first is None:
        return "deep_search" in offered
    return any((call.get("function") or {}).get("name") == "deep_search" for call in first.get("tool_calls") or [])


def _role_in(messages: Sequence[Mapping[str, Any]]) -> str | None:
    match = next((m for m in (_ROLE.search(text_of(x)) for x in messages if x.get("role") == "system") if m), None)
    return match.group(1) if match else None


def _not_known(role: str | None) -> str:
    known = "; ".join(f'"{text}"' for text in GOALS)
    who = f"As {role} I have nothing to say on this goal. " if role else ""
    only = f"I am the lab's scripted model and no language model: I know only these goals: {known}."
    return f"{who}{only} For any other, enter keys of your own."


def _steps(role: str, goal: Goal, task: str) -> list[Answer]:
    if role == "PM":
        return [_call("write", path="docs/prd.md", text=goal.prd), _call("finish", summary="The requirements are written.")]
    if role == "Architect":
        return _architect(goal, task)
    if role == "Coder":
        match = _ROUND.search(task)
        return _repair(goal, task) if match and int(match.group(1)) > 1 else _first_round(goal, task)
    return _review(goal, task)


def _test_command(task: str) -> str:
    """How tests are run where the code runs, as the task says."""
    return PYTEST if "-m pytest" in task else UNITTEST


def _architect(goal: Goal, task: str) -> list[Answer]:
    design = goal.design.replace("{test_command}", _test_command(task))
    steps = [_call("write", path="docs/design.md", text=design), _call("finish", summary="The design is written.")]
    return [_call("escalate", tier="critical", why=goal.critical), *steps] if goal.critical else steps


def _first_round(goal: Goal, task: str) -> list[Answer]:
    writes = [_call("write", path=path, text=text) for path, text in goal.first_files().items()]
    return [
        _call("read", path="docs/design.md"),
        *writes,
        _call("run", command=_test_command(task)),
        _call("finish", summary="The program and its tests are written, and the tests pass."),
    ]


def _repair(goal: Goal, task: str) -> list[Answer]:
    if goal.flaw is None:
        return [_call("run", command=_test_command(task)), _call("finish", summary="The tests pass.")]
    path, right, wrong = goal.flaw
    return [
        _call("read", path=path),
        _call("edit", path=path, old=wrong, new=right),
        _call("run", command=_test_command(task)),
        _call("finish", summary="Reading an entry now makes it recent."),
    ]


def _review(goal: Goal, task: str) -> list[Answer]:
    missing = {path: text for path, text in goal.review.items() if f"\n{path}" not in task}
    looks = [_call("list")]
    if not missing:
        return [*looks, _call("finish", summary="The tests cover every criterion.")]
    writes = [_call("write", path=path, text=text) for path, text in missing.items()]
    return [*looks, *writes, _call("finish", summary=f"Added {', '.join(missing)}.")]


def _call(name: str, **arguments: str) -> Answer:
    return Answer(tool_calls=(ToolCall(name, arguments),))
