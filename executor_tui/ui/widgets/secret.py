"""The place secrets are pasted into. It draws how many lines and characters it holds, never one of them; it cannot be copied from, has no
history and no undo, and binds no letters, because a terminal without bracketed paste sends a paste as keystrokes."""

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from executor_tui.ui.text import plural
from executor_tui.ui.widgets.toned import Toned

MOST_CHARS = 400_000


class SecretArea(Toned, can_focus=True):
    class Changed(Message):
        """Something was pasted, typed or deleted."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._held: list[str] = []

    def reveal(self) -> str:
        """What was pasted. For taking it in, once."""
        return "".join(self._held)

    def forget(self) -> None:
        """Let go of everything held."""
        self._held.clear()
        self._changed()

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        if len(self._held) + len(event.text) <= MOST_CHARS:
            ending = "" if event.text.endswith("\n") else "\n"
            self._held += event.text + ending
            self._changed()

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            self._held.append("\n")
        elif event.key == "backspace":
            self._held[-1:] = []
        elif event.key == "ctrl+u":
            while self._held and self._held.pop() != "\n":
                continue
        elif event.is_printable and event.character is not None and len(self._held) < MOST_CHARS:
            self._held.append(event.character)
        else:
            return
        event.stop()
        event.prevent_default()
        self._changed()

    def render_line(self, y: int) -> Strip:
        total = self.size.width
        cursor = self.tone("accent") if self.has_focus else self.tone("dim")
        if y == 0 and not self._held:
            text = "paste here; nothing you paste is shown"
            return Strip([Segment("▏", cursor), Segment(text, self.tone("dim"))]).adjust_cell_length(total, self.tone("plain"))
        if y == 0:
            lines = [row for row in self.reveal().split("\n") if row.strip()]
            text = f"{plural(len(lines), 'line')}, {plural(sum(map(len, lines)), 'character')} held"
            return Strip([Segment(text, self.tone("strong")), Segment("▏", cursor)]).adjust_cell_length(total, self.tone("plain"))
        return Strip.blank(total, self.tone("plain"))
