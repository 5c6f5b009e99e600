"""What a deep search gives back: an answer whose numbered citations lead to dated sources. Pure; everything in it came from outside.

Perplexity sends `citations` (addresses, in the order the answer numbers them) and `search_results` (title, url, date); OpenRouter sends
`annotations` of type `url_citation` (docs.perplexity.ai, openrouter.ai/docs). Whatever an answer or a page says is data: one line where one
line is expected, printable everywhere, and never followed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from executor_tui.agents.tools import one_line

Json = dict[str, object]

MAX_SOURCES, MAX_URL_CHARS, MAX_TITLE_CHARS, MAX_ANSWER_CHARS = 200, 2_000, 200, 400_000
UNCITED = "this model cites no sources: take it as a guess from memory"
_THINKING = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_MARKER = re.compile(r"\[(\d{1,3})\](?!\()")


class Depth(StrEnum):
    """How much looking a question is worth."""

    QUICK = "quick"
    THOROUGH = "thorough"
    DEEP = "deep"


@dataclass(frozen=True, slots=True)
class Source:
    """A page the answer rests on. `number` is what the answer calls it; `date` is the page's own (2026-11-02) or empty."""

    number: int
    url: str
    title: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class SearchReport:
    """An answer with its sources, and what it took. `notes` are our own remarks on it, for whoever reads it."""

    id: str
    question: str
    depth: Depth
    answer: str
    sources: tuple[Source, ...]
    model: str
    asked_at: datetime
    duration_s: float = 0.0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    call_id: str = ""
    notes: tuple[str, ...] = ()
    agent_id: str = ""
    project_id: str = ""

    @property
    def cited(self) -> bool:
        """Whether anything in it can be looked up."""
        return bool(self.sources)

    def as_json(self) -> Json:
        """For the file of the report and for `--json`."""
        return {**asdict(self), "depth": str(self.depth), "asked_at": self.asked_at.isoformat(), "cited": self.cited,
                "sources": [asdict(s) for s in self.sources], "notes": list(self.notes)}  # fmt: skip

    @staticmethod
    def from_json(raw: Mapping[str, object]) -> "SearchReport":
        """What `as_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        values = {name: raw[name] for name in SearchReport.__dataclass_fields__}
        rows, notes = values.pop("sources"), values.pop("notes")
        assert isinstance(rows, list) and isinstance(notes, list)
        values["depth"], values["asked_at"] = Depth(str(values["depth"])), datetime.fromisoformat(str(values["asked_at"]))
        return SearchReport(sources=tuple(Source(**row) for row in rows), notes=tuple(map(str, notes)), **values)  # type: ignore[arg-type]


def printable(text: str, limit: int = MAX_ANSWER_CHARS) -> str:
    """Text of somebody else's as a terminal or a file may show it: line breaks stay, control characters do not."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text.replace("\r\n", "\n"))[:limit].strip()


def answer_in(raw: str) -> str:
    """The answer itself, without what the model thought aloud."""
    return printable(_THINKING.sub("", raw))


def sources_in(citations: object, results: object, annotations: Sequence[object] = ()) -> tuple[Source, ...]:
    """The sources in the order the answer numbers them. Addresses that are no web pages keep their number and lose their link."""
    found = [r for r in results if isinstance(r, Mapping)] if isinstance(results, list) else []
    urls = [str(u) for u in citations] if isinstance(citations, list) else []
    if not urls:
        found = found or [c for a in annotations if (c := _annotation(a)) is not None]
        urls = list(dict.fromkeys(str(r.get("url") or "") for r in found))
    by_url: dict[str, Mapping[object, object]] = {}
    for entry in found:
        by_url.setdefault(str(entry.get("url") or ""), entry)
    return tuple(_source(n, url, by_url.get(url, {})) for n, url in enumerate(urls[:MAX_SOURCES], 1))


def _annotation(raw: object) -> Mapping[object, object] | None:
    citation = raw.get("url_citation") if isinstance(raw, Mapping) and raw.get("type") == "url_citation" else None
    return citation if isinstance(citation, Mapping) else None


def _source(number: int, url: str, known: Mapping[object, object]) -> Source:
    title = one_line(str(known.get("title") or ""), MAX_TITLE_CHARS)
    return Source(number, _address(url), title, _date(known.get("date")) or _date(known.get("last_updated")))


def _address(url: str) -> str:
    """A web address, printable and of bounded length; empty for anything else."""
    clean = url.strip()
    try:
        parts = urlsplit(clean)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    return clean if good and len(clean) <= MAX_URL_CHARS and clean.isprintable() and " " not in clean else ""


def _date(value: object) -> str:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        return ""


def remarks(answer: str, sources: Sequence[Source], asked: str, model: str) -> tuple[str, ...]:
    """What a reader should know of an answer: uncited, given by another model than asked for, or pointing where there is nothing."""
    notes: list[str] = []
    if not sources:
        notes.append(UNCITED)
    if model and asked and model != asked:
        notes.append(f"answered by {model}, as {asked} could not be had")
    dangling = sorted({int(n) for n in _MARKER.findall(answer)} - {s.number for s in sources}) if sources else []
    if dangling:
        notes.append("no source stands behind " + ", ".join(f"[{n}]" for n in dangling))
    if sources and not _MARKER.search(answer):
        notes.append("the answer does not say which source stands behind which sentence")
    unlinked = [s.number for s in sources if not s.url]
    if unlinked:
        notes.append("no web address: " + ", ".join(f"[{n}]" for n in unlinked))
    return tuple(notes)


def source_line(source: Source) -> str:
    """`[2] 2026-11-02  Title  https://…`"""
    return "  ".join(part for part in (f"[{source.number}]", source.date or "undated", source.title, source.url or "(no address)") if part)


def as_text(report: SearchReport) -> str:
    """The report for a terminal, or for another agent: answer, sources, remarks."""
    lines = [report.answer or "(an empty answer)", ""]
    lines += [source_line(source) for source in report.sources]
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join(lines).strip()


def as_markdown(report: SearchReport) -> str:
    """The report as a file to keep."""
    head = f"# {one_line(report.question, 200)}\n\n"
    facts = f"{report.asked_at:%Y-%m-%d %H:%M} UTC, {report.model}, {report.depth}, ${report.cost_usd:.4f}, {report.duration_s:.0f} s"
    parts = [f"{head}{facts}\n", *(f"> **{note}**\n" for note in report.notes), f"{report.answer}\n"]
    if report.sources:
        parts.append("## Sources\n")
        lines = [f"{s.number}. {s.date or 'undated'}: {_escaped(s.title)} <{s.url}>" for s in report.sources]
        parts.append("\n".join(line.removesuffix(" <>") for line in lines))
    return "\n".join(parts).rstrip() + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
