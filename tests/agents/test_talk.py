"""When a conversation goes on, when it is finished, and when it is given up."""

import json
from typing import Any

from executor_tui.agents.client import ModelReply, ToolCall
from executor_tui.agents.context import fitted, tokens_in
from executor_tui.agents.talk import Acted, Done, Talk, Thought, after
from executor_tui.agents.tools import TOOLS

ALL = tuple(TOOLS)


def said(*calls: tuple[str, dict[str, Any]], text: str = "", **rest: Any) -> Thought:
    made = tuple(ToolCall(f"c{n}", name, json.dumps(arguments)) for n, (name, arguments) in enumerate(calls))
    return Thought.of(ModelReply(text, made, **rest), ALL, 0)


def did(thought: Thought, text: str = "done", ok: bool = True, changed: bool = False, **rest: Any) -> Acted:
    return Acted(tuple(Done(c.id, text, ok, changed) for c in thought.calls), **rest)


def turns(talk: Talk, count: int, thought: Thought, acted: Acted, limit: int = 100) -> Talk:
    for _ in range(count):
        assert not talk.ended, talk.over
        talk = after(talk, thought, acted, limit)
    return talk


def test_the_same_call_over_and_over_is_told_and_then_given_up() -> None:
    thought = said(("read", {"path": "a"}))
    talk = turns(Talk(), 3, thought, did(thought))
    assert "you have made this very call 3 times" in str(talk.messages[-1]["content"])
    talk = turns(talk, 3, thought, did(thought))
    assert talk.over.startswith("the same call over and over: read")


def test_running_the_tests_again_after_a_change_is_no_loop() -> None:
    run, talk = said(("run", {"command": "make test"})), Talk()
    for number in range(10):
        edit = said(("edit", {"path": "a", "old": str(number), "new": str(number + 1)}))
        talk = turns(turns(talk, 1, edit, did(edit, changed=True)), 1, run, did(run, ok=False, changed=True))
    assert not talk.ended


def test_writing_the_same_thing_back_and_forth_is_a_loop() -> None:
    one, two, talk = said(("write", {"path": "a", "text": "1"})), said(("write", {"path": "a", "text": "2"})), Talk()
    while not talk.ended:
        talk = after(talk, one if talk.turns % 2 else two, did(one, changed=True), 100)
    assert talk.turns == 9 and "the same call over and over: write" in talk.over


def test_empty_answers_are_given_up_after_three() -> None:
    talk = turns(Talk(), 2, said(), Acted())
    assert "Your answer was empty" in str(talk.messages[-1]["content"])
    assert turns(talk, 1, said(), Acted()).over == "3 empty answers in a row"


def test_words_without_calls_are_given_up_after_three() -> None:
    assert turns(Talk(), 3, said(text="I would do it like this."), Acted()).over == "3 answers in a row that only talk"


def test_calls_that_cannot_be_carried_out_are_given_up_in_the_end() -> None:
    talk = Talk()
    while not talk.ended:
        thought = said(("read", {"path": f"missing-{talk.turns}"}))
        talk = after(talk, thought, did(thought, "error: does not exist", ok=False), 100)
    assert talk.over == "8 turns in a row with nothing but calls that cannot be carried out"


def test_a_failing_test_run_is_not_a_mistake() -> None:
    talk = Talk()
    for number in range(20):
        thought = said(("run", {"command": f"t{number}"}))
        talk = turns(talk, 1, thought, did(thought, "exit code 1 (0.1 s)", ok=False, changed=True))
    assert not talk.ended


def test_turns_are_limited() -> None:
    talk = Talk()
    while not talk.ended:
        thought = said(("read", {"path": f"f{talk.turns}"}))
        talk = after(talk, thought, did(thought), 5)
    assert talk.over == "all 5 turns used"


def test_finishing_ends_it_even_at_the_last_turn() -> None:
    thought = said(("finish", {}))
    talk = after(Talk(turns=4), thought, did(thought, finished=True), 5)
    assert talk.finished and not talk.over


def test_a_stronger_model_is_for_the_next_turn_only_and_once() -> None:
    ask = said(("escalate", {"tier": "critical", "why": "it matters"}))
    talk = after(Talk(), ask, did(ask), 10)
    assert (talk.tier, talk.why) == ("critical", "it matters")
    talk = after(talk, said(("list", {})), did(said(("list", {}))), 10)
    assert talk.tier == ""
    assert after(talk, ask, did(ask), 10).tier == ""


def test_a_history_goes_back_to_the_server_as_valid_json_with_a_result_for_every_call() -> None:
    broken = Thought.of(ModelReply("", (ToolCall("x", "wri te", '{"path": '), ToolCall("x", "read", "[1]"))), ALL, 0)
    talk = after(Talk(), broken, did(broken, "error: not JSON", ok=False), 10)
    calls: Any = talk.messages[0]["tool_calls"]
    assert [isinstance(json.loads(c["function"]["arguments"]), dict) for c in calls] == [True, True]
    assert calls[0]["function"]["name"] == "wri_te"
    ids = [c["id"] for c in calls]
    assert len(set(ids)) == 2 and [m["tool_call_id"] for m in talk.messages[1:]] == ids


def test_a_turn_holds_a_limited_number_of_calls() -> None:
    assert len(said(*[("list", {})] * 50).calls) == 16


def test_what_is_recorded_comes_back_the_same() -> None:
    thought = said(("run", {"command": "ls"}), text="so", model="m", input_tokens=3, cost_usd=0.5)
    acted = did(thought, finished=True, complaint="", commit="abc")
    assert Thought.from_json(json.loads(json.dumps(thought.as_json()))) == thought
    assert Acted.from_json(json.loads(json.dumps(acted.as_json()))) == acted


def test_a_conversation_is_fitted_into_a_small_room_with_its_shape_intact() -> None:
    talk = Talk()
    for number in range(30):
        thought = said(("write", {"path": f"f{number}", "text": "x" * 3000}))
        talk = after(talk, thought, did(thought, "y" * 5000, changed=True), 100)
    first = [{"role": "system", "content": "s" * 400}, {"role": "user", "content": "t" * 400}]
    for limit in (40_000, 9_000, 3_000):
        kept = fitted([*first, *talk.messages], limit)
        assert tokens_in(kept) <= limit
        assert kept[:2] == first
        ids = {c["id"] for m in kept for c in m.get("tool_calls", [])}  # type: ignore[attr-defined]
        assert all(m["tool_call_id"] in ids for m in kept if m["role"] == "tool")
        newest = kept[-2]["tool_calls"][0]["function"]["arguments"]  # type: ignore[index]
        assert json.loads(newest)["path"] == "f29"
