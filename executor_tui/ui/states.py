"""How a state looks: a glyph, a word and a tone, so that none of the three is needed to tell it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from executor_tui.domain.agent import Agent


Tone = Literal["plain", "dim", "strong", "good", "warn", "bad", "info", "accent"]
TONES: tuple[Tone, ...] = ("plain", "dim", "strong", "good", "warn", "bad", "info", "accent")


class Cell(NamedTuple):
    """A piece of text in one tone."""

    text: str
    tone: Tone = "plain"


class Look(NamedTuple):
    glyph: str
    word: str
    tone: Tone

    @property
    def cell(self) -> Cell:
        return Cell(f"{self.glyph} {self.word}", self.tone)


LOOKS: dict[str, Look] = {
    # agents
    "online": Look("●", "online", "good"),
    "busy": Look("◆", "busy", "info"),
    "waiting": Look("▲", "waiting", "warn"),
    "degraded": Look("■", "degraded", "warn"),
    "offline": Look("✗", "offline", "bad"),
    # projects
    "queued": Look("○", "queued", "dim"),
    "waiting_keys": Look("▲", "needs keys", "warn"),
    "running": Look("◆", "running", "info"),
    "asking": Look("?", "asking", "warn"),
    "delivered": Look("✓", "delivered", "good"),
    "failed": Look("✗", "failed", "bad"),
    "cancelled": Look("–", "cancelled", "dim"),
    "quarantined": Look("■", "quarantined", "bad"),
    # steps
    "done": Look("✓", "done", "good"),
    # keys
    "unverified": Look("○", "unverified", "dim"),
    "verified": Look("✓", "verified", "good"),
    "invalid": Look("✗", "invalid", "bad"),
    "disabled": Look("–", "disabled", "dim"),
    # approvals
    "pending": Look("▲", "waiting", "warn"),
    "approved": Look("✓", "approved", "good"),
    "denied": Look("✗", "denied", "bad"),
    "expired": Look("○", "expired", "dim"),
    # changes
    "planned": Look("○", "planned", "dim"),
    "applying": Look("◆", "applying", "info"),
    "nothing_to_do": Look("=", "no change", "dim"),
    "rolled_back": Look("↺", "rolled back", "warn"),
    "refused": Look("✗", "refused", "bad"),
    # risks
    "read": Look("○", "read", "dim"),
    "restorable": Look("◇", "restorable", "info"),
    "disruptive": Look("▲", "disruptive", "warn"),
    "destructive": Look("■", "destructive", "bad"),
    # levels
    "debug": Look("·", "debug", "dim"),
    "info": Look("·", "info", "plain"),
    "warning": Look("▲", "warn", "warn"),
    "error": Look("✗", "error", "bad"),
    # calls
    "in_flight": Look("◆", "in flight", "info"),
    "ok": Look("✓", "ok", "good"),
    "lost": Look("■", "lost", "warn"),
    # outages
    "first_start": Look("○", "first start", "dim"),
    "clean_stop": Look("✓", "clean stop", "good"),
    "crash": Look("✗", "crash", "bad"),
    "reboot": Look("↺", "reboot", "warn"),
    "power_loss": Look("■", "power loss", "bad"),
    "scan": Look("○", "scan", "info"),
}
"""By the word of the state, which means the same wherever it is used. Words and not enums: the first frame needs no other floor."""

PAUSED = Look("○", "paused", "dim")
NO_NODE = Look("✗", "no node runs", "bad")


def look(state: StrEnum) -> Look:
    """The look of a state; a state of a newer program shows as its bare word."""
    return LOOKS.get(state) or Look("·", str(state), "plain")


def look_word(word: str) -> Look:
    """The look of a state known only by its word, as old events and reports keep it."""
    return LOOKS.get(word) or Look("·", word, "plain")


def agent_look(agent: "Agent") -> Look:
    """A paused agent shows as paused whatever its ping says."""
    return PAUSED if agent.paused else look(agent.state)
