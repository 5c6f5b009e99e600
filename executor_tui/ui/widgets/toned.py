"""Tones as styles: what every drawn widget shares. Resolved from the theme's variables once per theme, not by selectors: a screen of
widgets with a dozen component classes each took longer to style than to draw."""

from functools import lru_cache

from rich.style import Style
from textual.widget import Widget

from executor_tui.ui.states import TONES, Tone

OVER = ("row--cursor", "row--head", "row--match", "row--press")
_VARIABLES = (*(f"tone-{tone}" for tone in TONES), "cursor-bg", "background")


@lru_cache(16)
def palette(colours: tuple[str, ...], plain: bool) -> dict[str, Style]:
    """Tone or row state → its style. `colours` are the values of `_VARIABLES`; `plain` is for terminals without colour."""
    value = dict(zip(_VARIABLES, colours, strict=True))
    styles: dict[str, Style] = {tone: Style(color=value[f"tone-{tone}"]) for tone in TONES}
    styles["strong"] += Style(bold=True)
    reverse = Style(reverse=True) if plain else Style()
    styles["row--cursor"] = Style(bgcolor=value["cursor-bg"]) + reverse
    styles["row--head"] = Style(color=value["tone-dim"])
    styles["row--match"] = Style(color=value["background"], bgcolor=value["tone-warn"]) + reverse
    styles["row--press"] = Style(reverse=True, bold=True)
    return styles


class Toned(Widget):
    """A widget that draws its own lines in tones. Colours are theme variables, so a theme changes all of them."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._tone_styles: dict[tuple[str, ...], Style] = {}

    def tone(self, tone: Tone, *over: str) -> Style:
        """The style of a tone on this widget's background, with the row states in `over` on top (`row--cursor`)."""
        key = (tone, *over)
        style = self._tone_styles.get(key)
        if style is None:
            app = self.app
            styles = palette(tuple(app.theme_variables[name] for name in _VARIABLES), app.no_color)
            style = self.rich_style + styles[tone]
            for name in over:
                style += styles[name]
            self._tone_styles[key] = style
        return style

    def text_at(self, y: int) -> str:
        """A line as plain text."""
        return self.render_line(y).text

    def notify_style_update(self) -> None:
        self._tone_styles.clear()
        super().notify_style_update()
