"""Tones as styles: the component classes every drawn widget shares, resolved once per theme."""

from rich.style import Style
from textual.widget import Widget

from executor_tui.ui.states import TONES, Tone

TONE_CLASSES = {f"tone--{tone}" for tone in TONES}
ROW_CLASSES = {"row--cursor", "row--head", "row--match", "row--press"}


class Toned(Widget):
    """A widget that draws its own lines in tones. Colours come from styles/console.tcss, so a theme changes all of them."""

    COMPONENT_CLASSES = TONE_CLASSES | ROW_CLASSES

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tone_styles: dict[tuple[str, ...], Style] = {}

    def tone(self, tone: Tone, *over: str) -> Style:
        """The style of a tone on this widget's background, with the component classes in `over` on top (`row--cursor`)."""
        key = (tone, *over)
        style = self._tone_styles.get(key)
        if style is None:
            style = self.rich_style + self.get_component_rich_style(f"tone--{tone}", partial=True)
            for name in over:
                style += self.get_component_rich_style(name, partial=True)
            self._tone_styles[key] = style
        return style

    def text_at(self, y: int) -> str:
        """A line as plain text."""
        return self.render_line(y).text

    def notify_style_update(self) -> None:
        self._tone_styles.clear()
        super().notify_style_update()
