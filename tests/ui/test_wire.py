"""A partial drawing sends the cells that changed and nothing beside them."""

import re

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from executor_tui.ui.wire import only_spans

ROW = Strip([Segment("coder-001 ", Style(bold=True)), Segment("◆ busy  "), Segment("  $1.87")])


def sent(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, str]]:
    """(line, column, text) of what is sent of a widget of one line at column 4."""
    chops: list[dict[int, Strip | None]] = [{0: None, 4: ROW} for _ in range(3)]
    update = only_spans(ChopsUpdate(chops, spans, [[4, 29] for _ in range(3)]))
    assert isinstance(update, ChopsUpdate)
    told = update.render_segments(Console(force_terminal=True, color_system="256"))
    pieces = re.findall(r"\x1b\[(\d+);(\d+)H((?:\x1b\[[\d;]*m|[^\x1b])*)", told)
    return [(int(y), int(x), re.sub(r"\x1b\[[\d;]*m", "", text)) for y, x, text in pieces]


def test_a_cell_at_the_end_of_a_row_costs_that_cell() -> None:
    assert sent([(1, 22, 28)]) == [(2, 23, "  $1.87"[:6])]


def test_a_cell_in_the_middle_is_cut_at_both_ends() -> None:
    assert sent([(0, 14, 20)]) == [(1, 15, "◆ busy")]


def test_a_whole_row_is_sent_whole_and_nothing_is_sent_where_there_is_no_widget() -> None:
    assert sent([(2, 0, 29)]) == [(3, 5, "coder-001 ◆ busy    $1.87")]


def test_anything_else_is_sent_as_it_is() -> None:
    assert only_spans(None) is None
    assert only_spans("text") == "text"
