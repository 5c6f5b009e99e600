"""What a model sends as a call, and what it is told when that cannot be carried out."""

import json

import pytest

from executor_tui.agents.lenient import calls_in
from executor_tui.agents.tools import TOOLS, ToolMistakeError, Write, canonical, parse_call, schema_of, told

ALL = tuple(TOOLS)


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("write", '{"path": "a.py", "text": ', "not JSON"),
        ("write", "[1, 2]", "one JSON object"),
        ("write", '"hello"', "one JSON object"),
        ("write", '{"path": "a.py"}', "text"),
        ("write", '{"path": "a.py", "text": "x", "mode": "755"}', "mode"),
        ("read", '{"path": "a.py", "first_line": 0}', "first_line"),
        ("read", '{"path": 7}', "path"),
        ("launch_missiles", "{}", "there is no tool 'launch_missiles'; there are: read"),
        ("run\n\x1b[31m", "{}", "there is no tool"),
        ("read", "[" * 100_000, "nested too deeply"),
        ("escalate", '{"tier": "free", "why": "x"}', "tier"),
    ],
)
def test_a_call_that_cannot_be_understood_is_answered_in_one_clear_line(name: str, raw: str, says: str) -> None:
    with pytest.raises(ToolMistakeError) as caught:
        parse_call("c1", name, raw, ALL)
    text = str(caught.value)
    assert says in text
    assert text.isprintable() and len(text) < 600


def test_arguments_that_are_json_within_json_are_understood() -> None:
    call = parse_call("c1", "write", json.dumps(json.dumps({"path": "a", "text": "b"})), ALL)
    assert call.arguments == Write(path="a", text="b")


def test_the_names_other_programs_use_for_arguments_are_understood() -> None:
    assert parse_call("c", "write", '{"path": "a", "content": "b"}', ALL).arguments == Write(path="a", text="b")
    edited = parse_call("c", "edit", '{"path": "a", "old_string": "x", "new_string": "y"}', ALL).arguments
    assert (edited.old, edited.new) == ("x", "y")  # type: ignore[attr-defined]


def test_raw_newlines_in_a_json_string_are_taken() -> None:
    assert parse_call("c", "write", '{"path": "a", "text": "one\ntwo"}', ALL).arguments == Write(path="a", text="one\ntwo")


def test_schemas_are_plain_objects_with_every_required_name() -> None:
    for name in ALL:
        function = schema_of(name)["function"]
        assert isinstance(function, dict) and function["name"] == name and function["description"]
        assert function["parameters"]["type"] == "object"
    write = schema_of("write")["function"]
    assert isinstance(write, dict) and write["parameters"]["required"] == ["path", "text"]


def test_equal_calls_are_equal_however_they_are_spaced() -> None:
    assert canonical("read", '{"path":"a","first_line":1}') == canonical("read", '{ "first_line": 1, "path": "a" }')
    assert canonical("read", "{oops") == "read {oops"


def test_a_call_is_told_in_a_few_words() -> None:
    assert told("write", '{"path": "src/app.py", "text": "…"}') == "write src/app.py"
    assert told("run", "{broken") == "run"


# -- calls written down instead of made ------------------------------------------------------------------------------------------------


def found(text: str) -> list[tuple[str, object]]:
    return [(c.name, json.loads(c.arguments)) for c in calls_in(text, ALL)]


def test_a_tagged_call_is_read() -> None:
    text = 'I will look.\n<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}\n</tool_call>'
    assert found(text) == [("read", {"path": "a.py"})]


def test_a_tagged_call_without_its_end_is_read_and_a_broken_one_is_a_mistake() -> None:
    assert found('<tool_call>{"name": "list", "arguments": {}}') == [("list", {})]
    assert calls_in("<tool_call>{broken</tool_call>", ALL)[0].name == ""


def test_a_fenced_object_is_a_call_only_if_it_names_a_tool() -> None:
    assert found('```json\n{"name": "run", "arguments": {"command": "ls"}}\n```') == [("run", {"command": "ls"})]
    assert found('```json\n{"name": "alice", "age": 7}\n```') == []


@pytest.mark.parametrize(
    "text",
    [
        "```python src/app.py\nprint(1)\n```",
        "`src/app.py`:\n\n```python\nprint(1)\n```",
        "### src/app.py\n```python\nprint(1)\n```",
        "**File: src/app.py**\n```\nprint(1)\n```",
        "Here it is:\n```python\n# src/app.py\nprint(1)\n```",
        "```python title=\"src/app.py\"\nprint(1)\n```",
    ],
)  # fmt: skip
def test_a_fenced_file_that_says_its_name_is_written(text: str) -> None:
    calls = found(text)
    assert [name for name, _ in calls] == ["write"]
    arguments = calls[0][1]
    assert isinstance(arguments, dict) and arguments["path"] == "src/app.py" and "print(1)" in arguments["text"]


def test_code_without_a_name_and_prose_are_no_calls() -> None:
    assert found("Use it like this:\n```python\nprint(1)\n```\n") == []
    assert found("I will now read src/app.py and then run the tests.") == []


def test_a_fence_within_a_longer_fence_belongs_to_the_file() -> None:
    text = "````markdown README.md\n# Hi\n```sh\nls\n```\n````\n"
    calls = found(text)
    assert len(calls) == 1 and calls[0][1] == {"path": "README.md", "text": "# Hi\n```sh\nls\n```\n"}


def test_a_huge_answer_is_not_searched_for_calls() -> None:
    assert calls_in("```\n" * 50_000, ALL) == ()
