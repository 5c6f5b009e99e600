"""What a project may ask its user, and reading the answer. Pure."""

import re
from dataclasses import dataclass

MORE, HINT, STOP, RAISE, RETRY = "more rounds", "hint", "stop", "raise the budget", "try again"
OPTIONS: dict[str, tuple[str, ...]] = {
    "rounds": (MORE, HINT, STOP), "budget": (RAISE, STOP), "refused": (RETRY, HINT, STOP), "stuck": (RETRY, HINT, STOP),
}  # fmt: skip
"""Kind of question → the answers offered. Any other text is taken as a hint."""

HOW = {
    "rounds": f"Answer '{MORE}' (or '{MORE}: 3'), '{HINT}: your words', or '{STOP}'.",
    "budget": f"Answer '{RAISE}' (or '{RAISE}: 2.50' for that many dollars more), or '{STOP}'.",
    "refused": f"Answer '{RETRY}', '{HINT}: your words', or '{STOP}'.",
    "stuck": f"Answer '{RETRY}', '{HINT}: your words', or '{STOP}'.",
}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
MAX_ROUNDS_MORE, MAX_HINT_CHARS = 50, 4_000


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer understood. `number` is the count of rounds or dollars it names, None when it names none."""

    stop: bool = False
    hint: str = ""
    number: float | None = None


def read_answer(kind: str, text: str) -> Answer:
    """The user's words as a decision. Words that are none of the options are a hint, never lost."""
    words = text.strip()
    head, colon, rest = words.partition(":")
    first = head.strip().lower()
    if words.lower() in ("stop", "no", "cancel", "abort") or first == STOP:
        return Answer(stop=True)
    if first == HINT:
        return Answer(hint=rest.strip()[:MAX_HINT_CHARS])
    if first in (MORE, RAISE, RETRY, "more", "raise", "retry", "yes", "go on", "continue"):
        return Answer(number=_number(rest if colon else ""))
    if kind in ("rounds", "budget") and re.fullmatch(r"\+?\s*\$?\s*\d+(?:[.,]\d+)?\s*(?:\$|usd|rounds?|more|more rounds)?", words.lower()):
        return Answer(number=_number(words))
    match = re.fullmatch(r"(?:more rounds?|raise the budget(?: by)?|raise by)\s*\$?\s*(\d+(?:[.,]\d+)?)", words.lower())
    if match:
        return Answer(number=_number(match.group(1)))
    return Answer(hint=words[:MAX_HINT_CHARS])


def _number(text: str) -> float | None:
    match = _NUMBER.search(text)
    return float(match.group().replace(",", ".")) if match else None


def rounds_after(answer: Answer, allowed: int, first_allowed: int) -> int:
    """How many rounds there may be now: as many more as named, else as many as there were to begin with."""
    more = int(answer.number) if answer.number else first_allowed
    return allowed + max(1, min(more, MAX_ROUNDS_MORE))


def budget_after(answer: Answer, budget_usd: float, spent_usd: float) -> float:
    """The budget now: raised by what is named, else by as much as it was; at least a little above what is spent."""
    more = answer.number if answer.number else max(budget_usd, 1.0)
    return max(budget_usd, spent_usd) + more
