"""What a provider's refusal says, whatever shape it came in: statuses, error types and codes, retry hints, Google's quota details.

Bodies may be JSON, JSON inside a library's sentence, a list with one object (Google's streams), or nothing. Nothing here raises.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from executor_tui.hydra import durations
from executor_tui.hydra.learn import Learned, from_headers
from executor_tui.hydra.providers.base import Facts

MAX_BODY_CHARS = 64 * 1024
MAX_MESSAGE_CHARS = 400
_MAX_NESTED = 3


@dataclass(frozen=True, slots=True)
class Violation:
    """One entry of Google's QuotaFailure (google.rpc.QuotaFailure)."""

    quota_id: str
    metric: str
    value: str

    @property
    def per_day(self) -> bool:
        return "perday" in self.quota_id.lower()

    @property
    def none_at_all(self) -> bool:
        """This project has no quota of this kind: it does not come back tomorrow."""
        return self.value == "0"


@dataclass(frozen=True, slots=True)
class Signals:
    """`words` is everything textual in lower case, for the few things said in no other way; `names` types, codes, statuses and reasons."""

    facts: Facts
    status: int
    names: frozenset[str]
    message: str
    words: str
    violations: tuple[Violation, ...]
    google_retry_s: float | None
    hint_s: float | None
    learned: tuple[Learned, ...]

    def named(self, *names: str) -> bool:
        return not self.names.isdisjoint(names)

    def says(self, *phrases: str) -> bool:
        return any(phrase in self.words for phrase in phrases)


def read(facts: Facts, now: datetime) -> Signals:
    """Facts, understood. `now` is our wall clock, used where the provider sent no Date."""
    document = _document(facts.body)
    errors = tuple(_errors(document))
    names = frozenset(n for e in errors for n in _names(e))
    message = next((m for e in errors if (m := _message(e))), facts.detail or facts.body.strip())[:MAX_MESSAGE_CHARS]
    words = " ".join((facts.detail, facts.body[:MAX_BODY_CHARS])).lower()
    headers = {**_headers_in_body(errors), **facts.headers}
    details = tuple(d for e in errors for d in _list(e.get("details")) if isinstance(d, dict))
    learned = from_headers(headers, now)
    google_retry_s = next((s for d in details if (s := durations.go_duration(str(d.get("retryDelay", "")))) is not None), None)
    status = _status(facts, errors)
    return Signals(
        facts, status, names | _google_reasons(details), message, words, tuple(_violations(details)), google_retry_s,
        _hint_s(headers, words, learned, google_retry_s, now), learned,
    )  # fmt: skip


def _document(body: str) -> object:
    text = body[:MAX_BODY_CHARS].strip()
    if not text:
        return None
    for candidate in _candidates(text):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return _embedded(text)


def _candidates(text: str) -> Iterator[str]:
    yield text
    if text.startswith(("data:", "event:")):
        yield from (line[5:].strip() for line in text.splitlines() if line.startswith("data:"))


def _embedded(text: str) -> object:
    """The first JSON object inside a sentence; a Python bytes literal's escapes are undone first."""
    if "b'{" in text or 'b"{' in text:
        text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    decoder = json.JSONDecoder()
    for start in (m.start() for _, m in zip(range(20), re.finditer(r"[{\[]", text), strict=False)):
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict | list) and found:
            return found
    return None


def _errors(document: object, depth: int = 0) -> Iterator[Mapping[str, object]]:
    """The error objects in a body, outermost first: {"error": {…}}, [{"error": …}], {"type": "error", "error": …}, nested ones after."""
    if depth > _MAX_NESTED:
        return
    if isinstance(document, list):
        for item in document[:4]:
            yield from _errors(item, depth + 1)
    if not isinstance(document, dict):
        return
    error = document.get("error", document.get("errors"))
    if isinstance(error, dict):
        yield error
        metadata = error.get("metadata")
        if isinstance(metadata, dict):
            yield metadata
            yield from _errors(_document(str(metadata.get("raw", ""))), depth + 1)
        yield from _errors(error.get("error"), depth + 1)
    elif isinstance(error, str):
        yield {"message": error, **{k: v for k, v in document.items() if k in ("code", "type", "status")}}
    elif isinstance(error, list):
        yield from _errors(error, depth + 1)
    else:
        yield document


def _names(error: Mapping[str, object]) -> Iterator[str]:
    for field in ("type", "code", "status", "reason", "error_type", "name"):
        value = error.get(field)
        if isinstance(value, str) and value:
            yield value.lower()
    inner = error.get("innererror")
    if isinstance(inner, dict) and isinstance(inner.get("code"), str):
        yield str(inner["code"]).lower()


def _message(error: Mapping[str, object]) -> str:
    for field in ("message", "detail", "error_description", "raw"):
        value = error.get(field)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())
    return ""


def _status(facts: Facts, errors: tuple[Mapping[str, object], ...]) -> int:
    """The status that counts: an error sent inside HTTP 200 or a stream carries its own."""
    if facts.status >= 400:
        return facts.status
    for error in errors:
        for field in ("code", "status", "status_code"):
            value = error.get(field)
            code = int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit() and len(value) == 3) else 0
            if 400 <= code <= 599:
                return code
    return facts.status


def _headers_in_body(errors: tuple[Mapping[str, object], ...]) -> dict[str, str]:
    """OpenRouter repeats its rate-limit headers under `error.metadata.headers`."""
    found: dict[str, str] = {}
    for error in errors:
        headers = error.get("headers")
        if isinstance(headers, dict):
            found.update({str(k).lower(): str(v) for k, v in headers.items()})
    return found


def _google_reasons(details: tuple[dict[str, object], ...]) -> frozenset[str]:
    return frozenset(str(d["reason"]).lower() for d in details if isinstance(d.get("reason"), str))


def _violations(details: tuple[dict[str, object], ...]) -> Iterator[Violation]:
    for detail in details:
        for violation in _list(detail.get("violations")):
            if isinstance(violation, dict):
                value = str(violation.get("quotaValue", ""))
                yield Violation(str(violation.get("quotaId", "")), str(violation.get("quotaMetric", "")), value)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


_TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait|reset)[a-z ]{0,24}?(?:in|after)? ([\d.]+ ?(?:ms|s|sec|m|min|h|hours?|seconds?|minutes?)[\d.hms]*)\b"
)
_UNITS = (("milliseconds", "ms"), ("seconds", "s"), ("second", "s"), ("sec", "s"), ("minutes", "m"), ("minute", "m"), ("min", "m"),
          ("hours", "h"), ("hour", "h"), (" ", ""))  # fmt: skip


def _hint_s(headers: Mapping[str, str], words: str, learned: tuple[Learned, ...], google_s: float | None, now: datetime) -> float | None:
    """How long the provider says to stay away: the plainest statement first."""
    if (ms := durations.number(headers.get("retry-after-ms", ""))) is not None:
        return durations.bounded(ms / 1e3)
    if "retry-after" in headers:
        server_now = durations.moment(headers["date"]) if "date" in headers else None
        if (seconds := durations.until(headers["retry-after"], server_now or now)) is not None:
            return seconds
    if google_s is not None:
        return google_s
    spent = [told.resets_in_s for told in learned if told.resets_in_s is not None and told.remaining is not None and told.remaining < 1]
    if spent:
        return max(spent)
    return _in_words(words)


def _in_words(words: str) -> float | None:
    found = _TRY_AGAIN.search(words)
    if found is None:
        return None
    text = found.group(1)
    for long, short in _UNITS:
        text = text.replace(long, short)
    return durations.go_duration(text)
