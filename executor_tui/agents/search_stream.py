"""Reading the streamed answer of a model that searches: text, sources and figures out of Chat Completions events."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from executor_tui.agents.client import ModelError
from executor_tui.agents.search_report import MAX_ANSWER_CHARS
from executor_tui.agents.tools import one_line

Json = dict[str, object]
COST = ": x-executor-cost-usd "


class Phase(StrEnum):
    """What a search is at."""

    WAITING = "waiting"
    THINKING = "thinking"
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search is: `chars` of text so far, `sources` found so far."""

    phase: Phase
    elapsed_s: float
    chars: int = 0
    sources: int = 0


OnProgress = Callable[[Progress], None]


@dataclass
class Gathered:
    """What the events have said so far. Each event may repeat the sources; the last word counts."""

    text: str = ""
    citations: object = None
    results: object = None
    annotations: list[object] = field(default_factory=list)
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    ended: bool = False

    @property
    def phase(self) -> Phase:
        if not self.text:
            return Phase.WAITING
        return Phase.THINKING if self.text.lstrip().startswith("<think>") and "</think>" not in self.text else Phase.WRITING

    @property
    def sources(self) -> int:
        return max((len(found) for found in (self.citations, self.results, self.annotations) if isinstance(found, list)), default=0)

    def take(self, line: str) -> None:
        """One line of the stream. Raises ModelError for an error event, for what is no event, and for an answer without end."""
        if line.startswith(COST):
            self.cost_usd = _usd(line.removeprefix(COST))
        if not line.startswith("data:"):
            return
        data = line[5:].strip()
        if data == "[DONE]":
            self.ended = True
            return
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as exc:
            raise ModelError("the search broke off: an event that is not JSON") from exc
        if isinstance(event, dict):
            self._event(event)

    def _event(self, event: Json) -> None:
        error = event.get("error")
        if error:
            said = error.get("message") if isinstance(error, dict) else error
            raise ModelError(f"the search broke off: {one_line(str(said or 'no reason given'))}")
        self.citations = event.get("citations") or self.citations
        self.results = event.get("search_results") or self.results
        self.model = str(event.get("model") or self.model)
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.input_tokens = _count(usage.get("prompt_tokens")) or self.input_tokens
            self.output_tokens = _count(usage.get("completion_tokens")) or self.output_tokens
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict):
                self._delta(delta)

    def _delta(self, delta: Json) -> None:
        content, annotations = delta.get("content"), delta.get("annotations")
        self.text += content if isinstance(content, str) else ""
        self.annotations += annotations if isinstance(annotations, list) else []
        if len(self.text) > 4 * MAX_ANSWER_CHARS:
            raise ModelError("the search was given up: its answer has no end")


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def _usd(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
