"""A plan while it is made, whatever the device: the calls, and what they mean for the diff, the risk and the way back."""

from dataclasses import dataclass, field

from executor_tui.agents.device import Call, Json


def printable(text: str) -> str:
    """A device's own words as one line of a diff: control characters and line breaks become blanks."""
    return "".join(c if c.isprintable() else " " for c in text)


@dataclass(kw_only=True)
class PlanDraft:
    """`undo` is in the order in which it would be done: the last change first. `words` are what a person must type."""

    calls: list[Call] = field(default_factory=list)
    diff: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    undo: list[Json] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def changed(self, risk: str, line: str, *undo: Json | None) -> None:
        """Tell of a change: the key of its risk, its line of the diff, and what takes it back."""
        self.risks.append(risk)
        self.diff.append(printable(line))
        self.undo[0:0] = [operation for operation in undo if operation is not None]
