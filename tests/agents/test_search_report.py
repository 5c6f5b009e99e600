"""Reading what a searching model sends: answer, numbered sources, dates; and what is said of answers that lack them."""

import json
from datetime import UTC, datetime

import pytest

from executor_tui.agents.client import ModelError
from executor_tui.agents.search_report import UNCITED, Depth, SearchReport, answer_in, as_markdown, as_text, remarks, sources_in
from executor_tui.agents.search_stream import Gathered, Phase

RESULTS = [
    {"title": "Release notes", "url": "https://example.org/notes", "date": "2026-11-02"},
    {"title": "A\nblog [x](javascript:1)", "url": "https://example.net/post", "date": "not a date", "last_updated": "2026-10-30T10:00:00Z"},
]
ASKED = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_sources_are_numbered_as_the_answer_numbers_them_whatever_the_order_of_the_results() -> None:
    found = sources_in(["https://example.net/post", "https://example.org/notes"], RESULTS)
    assert [(s.number, s.url, s.date) for s in found] == [
        (1, "https://example.net/post", "2026-10-30"), (2, "https://example.org/notes", "2026-11-02"),
    ]  # fmt: skip
    assert found[0].title == "A blog [x](javascript:1)"


def test_results_alone_and_annotations_alone_are_sources_too() -> None:
    assert [s.url for s in sources_in(None, RESULTS)] == ["https://example.org/notes", "https://example.net/post"]
    note = {"type": "url_citation", "url_citation": {"url": "https://example.org/a", "title": "A"}}
    found = sources_in(None, None, [note, note, {"type": "other"}])
    assert [(s.number, s.url, s.title) for s in found] == [(1, "https://example.org/a", "A")]


def test_an_address_that_is_no_web_page_keeps_its_number_and_loses_its_link() -> None:
    bad = ["javascript:alert(1)", "file:///etc/passwd", "https://ok.example/\x1b[31m", "http://[", "https://ok.example/a"]
    found = sources_in(bad, None)
    assert [s.url for s in found] == ["", "", "", "", "https://ok.example/a"]
    assert "no web address: [1], [2], [3], [4]" in remarks("[5]", found, "", "")


def test_an_answer_without_sources_is_marked_and_a_number_without_a_source_is_named() -> None:
    assert remarks("It is so.", (), "sonar", "sonar") == (UNCITED,)
    found = sources_in(["https://example.org/a"], None)
    assert remarks("True [1], and more [7][12].", found, "sonar", "sonar") == ("no source stands behind [7], [12]",)
    assert remarks("True.", found, "sonar-pro", "sonar") == (
        "answered by sonar, as sonar-pro could not be had", "the answer does not say which source stands behind which sentence",
    )  # fmt: skip


def test_what_the_model_thought_aloud_is_left_out_and_control_characters_do_not_reach_a_terminal() -> None:
    assert answer_in("<think>hm\nhm</think>\nYes [1].\x1b]52;c;ZXZpbA==\x07") == "Yes [1].�]52;c;ZXZpbA==�"
    assert answer_in("<think>never ends") == ""


def test_a_report_survives_its_file_and_reads_as_markdown_with_titles_that_cannot_become_links() -> None:
    found = sources_in(["https://example.net/post"], RESULTS)
    report = SearchReport("srch-1", "What\n# changed?", Depth.QUICK, "Much [1].", found, "sonar", ASKED, 2.0, 0.0061, notes=("a remark",))
    assert SearchReport.from_json(json.loads(json.dumps(report.as_json()))) == report
    text = as_markdown(report)
    assert text.startswith("# What # changed?\n") and "> **a remark**" in text
    assert "1. 2026-10-30: A blog \\[x\\](javascript:1) <https://example.net/post>" in text
    assert as_text(report).splitlines()[-2:] == ["[1]  2026-10-30  A blog [x](javascript:1)  https://example.net/post", "note: a remark"]


def test_a_stream_is_gathered_piece_by_piece() -> None:
    gathered = Gathered()
    assert gathered.phase is Phase.WAITING
    for text in ("<think>", "x"):
        event = {"choices": [{"delta": {"content": text}}], "citations": ["https://example.org/a"]}
        gathered.take(f"data: {json.dumps(event)}")
    assert (gathered.phase, gathered.sources) == (Phase.THINKING, 1)
    gathered.take('data: {"choices": [{"delta": {"content": "</think>So [1]"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}')
    gathered.take(": x-executor-cost-usd 0.00610000")
    gathered.take("data: [DONE]")
    assert (gathered.phase, gathered.ended, gathered.cost_usd, gathered.output_tokens) == (Phase.WRITING, True, 0.0061, 5)


@pytest.mark.parametrize("line", ['data: {"error": {"message": "over\\nloaded"}}', "data: {half"])
def test_a_stream_that_breaks_is_an_error_in_one_line(line: str) -> None:
    with pytest.raises(ModelError) as caught:
        Gathered().take(line)
    assert "\n" not in caught.value.message
