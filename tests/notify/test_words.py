"""Alerts as text that a chat can show, whatever is in them."""

from datetime import UTC, datetime

import pytest

from executor_tui.domain.alert import Alert, Severity
from executor_tui.lab.chat.discord import check
from executor_tui.lab.chat.html_entities import parse_html
from executor_tui.notify.base import Message
from executor_tui.notify.words import clean, cut16, discord_messages, lines_of, one_line, plain_pages, telegram_pages, utf16

AT = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)
NASTY = [
    "<b>&amp;</b> *x* [y](http://z) @everyone ```",
    "\x1b[31mred\x07",
    "‮gnp.exe",
    "😀" * 3000,
    "a" * 9000,
    "<" * 5000,
    "\n" * 50,
    "`" * 9,
]


def message(title: str = "t", body: str = "", severity: Severity = Severity.WARNING, **data: object) -> Message:
    return Message((Alert("alr-1", "k", severity, title, body, "things", created_at=AT, data=data),))


@pytest.mark.parametrize("text", NASTY)
def test_telegram_pages_are_valid_and_short_enough_whatever_the_text(text: str) -> None:
    for page in telegram_pages(lines_of(message(text, f"{text}\n{text}", diff=[text, "+ ok"]), outcome=text)):
        seen = parse_html(page)
        assert 0 < utf16(page) <= 4096 and seen.strip()


@pytest.mark.parametrize("text", NASTY)
def test_discord_messages_are_within_its_limits_whatever_the_text(text: str) -> None:
    for embeds in discord_messages(message(text, f"{text}\n{text}", diff=[text]), outcome=text):
        assert check({"embeds": embeds}) == {}


def test_nothing_of_a_long_body_is_lost_on_telegram() -> None:
    words = [f"word{n}" for n in range(3000)]
    seen = " ".join(parse_html(page) for page in telegram_pages(lines_of(message("t", "\n".join(words)))))
    assert all(f"word{n}" in seen for n in (0, 1500, 2999)) and sum(w in seen.split() for w in words) == 3000


def test_nothing_of_a_long_body_is_lost_on_discord() -> None:
    words = [f"word{n}" for n in range(1000)]
    seen = "\n".join(str(e["description"]) for embeds in discord_messages(message("t", "\n".join(words))) for e in embeds)
    assert seen.splitlines() == words


def test_a_diff_is_shown_as_code_and_cannot_leave_its_fence() -> None:
    text = str(discord_messages(message(diff=["+ rule", "```", "@everyone"]))[0][0]["description"])
    assert text.count("```") == 2 and "+ rule" in text
    assert "<pre>+ a\n- b</pre>" in telegram_pages(lines_of(message(diff=["+ a", "- b"])))[0]


def test_text_from_outside_neither_formats_nor_mentions_on_discord() -> None:
    description = str(discord_messages(message(body="**bold** @everyone <@1> [x](y)"))[0][0]["description"])
    assert description == "\\*\\*bold\\*\\* \\@everyone \\<\\@1\\> \\[x\\]\\(y\\)".replace("\\>", "\\>")


def test_control_characters_and_direction_marks_are_taken_out() -> None:
    assert clean("a\x1b[0m\u202eb\u2066c\td\ne") == "a[0mbc\td\ne"
    assert one_line("a\n b\t\tc") == "a b c" and one_line("x" * 300, 10) == "x" * 9 + "…"


def test_several_alerts_of_a_group_are_told_as_one_number() -> None:
    many = Message(tuple(Alert(f"alr-{n}", f"k{n}", Severity.WARNING, f"key {n} parked", group="keys parked") for n in range(37)))
    assert many.title == "37 keys parked"
    assert many.body.splitlines()[0] == "• key 0 parked" and many.body.splitlines()[-1] == "… and 27 more"


def test_the_worst_severity_of_several_is_shown() -> None:
    mixed = Message(tuple(Alert(s, s, s, "x", group="g") for s in (Severity.INFO, Severity.CRITICAL, Severity.NOTICE)))
    assert mixed.severity is Severity.CRITICAL


def test_cutting_never_leaves_half_an_escape() -> None:
    assert cut16("a" * 8 + "\\*b", 10) == "a" * 8 + "…"


def test_plain_text_is_split_and_escaped() -> None:
    pages = plain_pages("<&>\n" * 3000)
    assert len(pages) > 1 and all(utf16(p) <= 4096 for p in pages)
    assert "".join(parse_html(p) for p in pages).count("<&>") == 3000
