"""What goes over the line: only the cells of a line that changed.

Textual knows the span of each line that has to be sent, but sends a widget's line from its beginning on: for one cell at the end of a
table's row, the whole row. Here both ends are cut.
"""

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class Spans(ChopsUpdate):
    """Sends each span and nothing beside it."""

    def render_segments(self, console: Console) -> str:
        parts: list[str] = []
        for y, start, end in self.spans:
            for stop, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                left, right = max(x, start), min(stop, end)
                if strip is None or left >= right:
                    continue
                shown = strip if (left, right) == (x, stop) else strip.crop(left - x, right - x)
                parts += (Control.move_to(left, y).segment.text, shown.render(console))
        return "".join(parts)


def only_spans(renderable: RenderableType | None) -> RenderableType | None:
    """The same drawing, sent more sparingly when it is a partial one."""
    if type(renderable) is ChopsUpdate:
        return Spans(renderable.chops, renderable.spans, renderable.chop_ends)
    return renderable
