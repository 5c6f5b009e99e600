"""`executor search` as a program: the answer on stdout, the narration beside it, and exit codes that scripts can rely on."""

import json
from pathlib import Path
from typing import Any

from executor_tui.config.places import Places
from executor_tui.lab.upstreams.faults import Fault
from executor_tui.lab.upstreams.script import Answer
from executor_tui.lab.upstreams.upstreams import Upstreams
from tests.cli.test_gateway_commands import run, upstreams  # noqa: F401 - a fixture

FOUND = ({"title": "Notes \x1b]0;owned\x07", "url": "https://example.org/notes", "date": "2026-11-02"},)


def scholar(request: dict[str, Any]) -> Answer:
    return Answer("So it is [1].\x1b[2J", citations=FOUND)


async def test_a_question_is_answered_with_sources_kept_and_shown_again(places: Places, upstreams: Upstreams) -> None:  # noqa: F811
    upstreams.providers["perplexity"].script = scholar
    done = await run(places, "search", "Is it so?", "--depth", "quick")
    assert (done.code, done.out) == (0, "So it is [1].�[2J\n\n[1]  2026-11-02  Notes ]0;owned  https://example.org/notes\n")
    assert "sonar, $" in done.err and "kept as" in done.err
    listed = json.loads((await run(places, "search", "--list", "--json")).out)["reports"]
    assert [(r["question"], r["cited"]) for r in listed] == [("Is it so?", True)]
    shown = json.loads((await run(places, "search", "--show", listed[0]["id"], "--json")).out)
    assert shown["report"] == listed[0] and Path(shown["path"]).read_text().startswith("# Is it so?")


async def test_what_cannot_be_is_one_line_with_the_right_exit_code(places: Places, upstreams: Upstreams) -> None:  # noqa: F811
    empty = await run(places, "search", "  ")
    assert (empty.code, empty.out) == (2, "") and "the question is empty" in empty.err
    dear = await run(places, "search", "Is it so?", "--budget", "0.0001", "--json")
    assert dear.code == 4 and "allowed for this call" in json.loads(dear.out)["error"]["message"]
    upstreams.faults.add(Fault("rate_limited", provider="perplexity", retry_after_s=120.0))
    none = await run(places, "search", "Is it so?", "--json")
    assert none.code == 4 and json.loads(none.out)["error"]["available_at"] is not None
