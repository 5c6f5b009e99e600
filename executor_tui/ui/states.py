"""How a state looks: a glyph, a word and a tone, so that none of the three is needed to tell it."""

from enum import StrEnum
from typing import Literal, NamedTuple

from executor_tui.domain.agent import Agent, AgentState
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.call import CallStatus
from executor_tui.domain.change import ChangeStatus, Risk
from executor_tui.domain.event import Level
from executor_tui.domain.key import KeyState
from executor_tui.domain.project import ProjectStatus, StepStatus
from executor_tui.domain.recovery import OutageKind

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


LOOKS: dict[StrEnum, Look] = {
    AgentState.ONLINE: Look("●", "online", "good"),
    AgentState.BUSY: Look("◆", "busy", "info"),
    AgentState.WAITING: Look("▲", "waiting", "warn"),
    AgentState.DEGRADED: Look("■", "degraded", "warn"),
    AgentState.OFFLINE: Look("✗", "offline", "bad"),
    ProjectStatus.QUEUED: Look("○", "queued", "dim"),
    ProjectStatus.WAITING_KEYS: Look("▲", "needs keys", "warn"),
    ProjectStatus.RUNNING: Look("◆", "running", "info"),
    ProjectStatus.ASKING: Look("?", "asking", "warn"),
    ProjectStatus.DELIVERED: Look("✓", "delivered", "good"),
    ProjectStatus.FAILED: Look("✗", "failed", "bad"),
    ProjectStatus.CANCELLED: Look("–", "cancelled", "dim"),
    ProjectStatus.QUARANTINED: Look("■", "quarantined", "bad"),
    StepStatus.RUNNING: Look("◆", "running", "info"),
    StepStatus.DONE: Look("✓", "done", "good"),
    StepStatus.FAILED: Look("✗", "failed", "bad"),
    KeyState.UNVERIFIED: Look("○", "unverified", "dim"),
    KeyState.VERIFIED: Look("✓", "verified", "good"),
    KeyState.INVALID: Look("✗", "invalid", "bad"),
    KeyState.DISABLED: Look("–", "disabled", "dim"),
    ApprovalStatus.PENDING: Look("▲", "waiting", "warn"),
    ApprovalStatus.APPROVED: Look("✓", "approved", "good"),
    ApprovalStatus.DENIED: Look("✗", "denied", "bad"),
    ApprovalStatus.EXPIRED: Look("○", "expired", "dim"),
    ApprovalStatus.CANCELLED: Look("–", "withdrawn", "dim"),
    ChangeStatus.PLANNED: Look("○", "planned", "dim"),
    ChangeStatus.WAITING: Look("▲", "waiting", "warn"),
    ChangeStatus.APPLYING: Look("◆", "applying", "info"),
    ChangeStatus.DONE: Look("✓", "done", "good"),
    ChangeStatus.NOTHING_TO_DO: Look("=", "no change", "dim"),
    ChangeStatus.ROLLED_BACK: Look("↺", "rolled back", "warn"),
    ChangeStatus.REFUSED: Look("✗", "refused", "bad"),
    ChangeStatus.FAILED: Look("✗", "failed", "bad"),
    Risk.READ: Look("○", "read", "dim"),
    Risk.RESTORABLE: Look("◇", "restorable", "info"),
    Risk.DISRUPTIVE: Look("▲", "disruptive", "warn"),
    Risk.DESTRUCTIVE: Look("■", "destructive", "bad"),
    Level.DEBUG: Look("·", "debug", "dim"),
    Level.INFO: Look("·", "info", "plain"),
    Level.WARNING: Look("▲", "warn", "warn"),
    Level.ERROR: Look("✗", "error", "bad"),
    CallStatus.IN_FLIGHT: Look("◆", "in flight", "info"),
    CallStatus.OK: Look("✓", "ok", "good"),
    CallStatus.FAILED: Look("✗", "failed", "bad"),
    CallStatus.CANCELLED: Look("–", "cancelled", "dim"),
    CallStatus.LOST: Look("■", "lost", "warn"),
    OutageKind.FIRST_START: Look("○", "first start", "dim"),
    OutageKind.CLEAN_STOP: Look("✓", "clean stop", "good"),
    OutageKind.CRASH: Look("✗", "crash", "bad"),
    OutageKind.REBOOT: Look("↺", "reboot", "warn"),
    OutageKind.POWER_LOSS: Look("■", "power loss", "bad"),
    OutageKind.SCAN: Look("○", "scan", "info"),
}

PAUSED = Look("○", "paused", "dim")


def look(state: StrEnum) -> Look:
    """The look of a state; a state of a newer program shows as its bare word."""
    return LOOKS.get(state) or Look("·", str(state), "plain")


def look_word(word: str) -> Look:
    """The look of a state known only by its word, as old events and reports keep it."""
    return next((shown for state, shown in LOOKS.items() if state.value == word), Look("·", word, "plain"))


def agent_look(agent: Agent) -> Look:
    """A paused agent shows as paused whatever its ping says."""
    return PAUSED if agent.paused else look(agent.state)
