"""How hard a request looks, judged here from its own text: no model is asked. Every part of the score can be shown."""

import re
from dataclasses import dataclass

from executor_tui.domain.model import Complexity
from executor_tui.hydra.features import Features


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One reason: what was seen, and the points it gave."""

    name: str
    seen: str
    points: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`score` is the sum of the parts; STEPS says from which score each complexity begins."""

    complexity: Complexity
    score: float
    parts: tuple[ScorePart, ...]


STEPS: tuple[tuple[float, Complexity], ...] = (
    (0.0, Complexity.TRIVIAL),
    (1.0, Complexity.SIMPLE),
    (3.0, Complexity.MODERATE),
    (6.0, Complexity.COMPLEX),
)
"""Score from which a request is of this complexity. CRITICAL is never estimated: somebody must ask for it."""

_REASONING = re.compile(
    r"\b(why|prove|proof|derive|design|architect\w*|trade-?offs?|compare|analy[sz]e|optimi[sz]e|debug|root cause|refactor\w*|plan|strategy|"
    r"concurren\w*|race condition|deadlock|algorithm|complexity|security|vulnerab\w*|migrat\w*|step by step|invariant|formal\w*)\b",
    re.IGNORECASE,
)
_CODE_WORDS = re.compile(
    r"\b(def|class|function|import|return|SELECT|async|await|struct|impl|stack ?trace|Traceback|regex|API|SQL)\b|[{};]\s*\n"
)


def estimate(features: Features) -> Estimate:
    """Judge by length, code, tools, conversation, images and words that ask for thought."""
    parts = tuple(part for part in _parts(features) if part.points)
    score = round(sum(part.points for part in parts), 2)
    complexity = next(c for start, c in reversed(STEPS) if score >= start)
    return Estimate(complexity, score, parts)


def _parts(f: Features) -> tuple[ScorePart, ...]:
    words = len(f.text.split())
    thought = {m.group(1).lower() for m in _REASONING.finditer(f.text[:20_000])}
    code_words = len(_CODE_WORDS.findall(f.text[:20_000]))
    return (
        ScorePart("length", f"{words} words asked", _steps(words, (12, 0.5), (60, 1.0), (250, 1.5), (1_000, 2.0))),
        ScorePart("context", f"about {f.input_tokens:,} tokens in all", _steps(f.input_tokens, (2_000, 0.5), (16_000, 1.0), (64_000, 2.0))),
        ScorePart("code", f"{f.code_chars} characters of code, {code_words} signs of it", _code(f.code_chars, code_words)),
        ScorePart("tools", f"{f.tools} tools offered", _steps(f.tools, (1, 1.0), (6, 1.5), (16, 2.0))),
        ScorePart("conversation", f"{f.turns} messages", _steps(f.turns, (6, 0.5), (20, 1.0))),
        ScorePart("images", f"{f.images} images", _steps(f.images, (1, 0.5))),
        ScorePart("reasoning words", ", ".join(sorted(thought)[:6]), min(3.0, 0.75 * len(thought))),
        ScorePart("reasoning asked for", "a reasoning option is set", 2.0 if f.reasoning else 0.0),
    )


def _steps(value: float, *steps: tuple[float, float]) -> float:
    return next((points for start, points in reversed(steps) if value >= start), 0.0)


def _code(chars: int, words: int) -> float:
    return max(_steps(chars, (1, 0.5), (400, 1.0), (3_000, 2.0)), _steps(words, (2, 0.5), (6, 1.0)))
