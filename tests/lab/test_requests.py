"""What the lab's script says to requests in words: it looks first, proposes by tool call, and says plainly what it does not know."""

import pytest

from executor_tui.agents.base import fenced
from executor_tui.lab.script.requests import KNOWN, answer
from executor_tui.lab.upstreams.script import Answer

SYSTEM = {"role": "system", "content": "You are the Network Agent, in charge of a MikroTik router."}


def talk(request: str, *results: str) -> Answer:
    """The script's turn after these results of its calls."""
    messages = [SYSTEM, {"role": "user", "content": f"Do.\n\n{fenced('the request', request, 'data-1', 4_000)}"}]
    for result in results:
        messages += [{"role": "assistant", "content": ""}, {"role": "tool", "content": result}]
    found = answer(messages)
    assert found is not None
    return found


@pytest.mark.parametrize(("request_", "tool"), zip(KNOWN, ("net_limit", "net_forward", "lxc_create"), strict=True))
def test_each_request_it_knows_is_looked_into_then_proposed_then_finished(request_: str, tool: str) -> None:
    turns = [talk(request_), talk(request_, "one line"), talk(request_, "one line", "operation 1")]
    assert [turn.tool_calls[0].name for turn in turns] == ["look", tool, "finish"]


def test_numbers_are_taken_from_the_request() -> None:
    call = talk("please give 10.1.2.3 at most 7 Mbit up", "one line").tool_calls[0]
    assert call.arguments == {"target": "10.1.2.3", "up": "7M", "note": "asked for in words: 7 Mbit up"}


def test_what_it_does_not_find_it_does_not_propose() -> None:
    assert "no lease has the address" in str(talk(KNOWN[0], "nothing with that in it").tool_calls[0].arguments)
    assert "there is no template for Debian" in str(talk(KNOWN[2], "nothing with that in it").tool_calls[0].arguments)


def test_what_it_does_not_know_it_says_and_proposes_nothing() -> None:
    (call,) = talk("make me a sandwich").tool_calls
    assert call.name == "finish" and "scripted model and no language model" in str(call.arguments) and KNOWN[1] in str(call.arguments)


def test_a_project_is_none_of_its_business_here() -> None:
    assert (
        answer([{"role": "system", "content": "You are the Coder of a small software team"}, {"role": "user", "content": KNOWN[0]}]) is None
    )
