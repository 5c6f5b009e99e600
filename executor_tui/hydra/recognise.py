"""Keys in whatever was pasted: lines, `NAME=value`, JSON, quotes, comments. Each is told apart by its shape, by the name beside it, or not.

A secret lives in `Recognised.secret` until it is sealed; nothing here writes it anywhere, and `masked` is all that may be shown.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from executor_tui.config.files import PLACEHOLDERS
from executor_tui.config.models import ModelsSettings
from executor_tui.domain.model import Tier

MAX_CHARS = 1024 * 1024
MAX_KEYS = 1_000
LONGEST_KEY, SHORTEST_KEY, SHORTEST_SHOWN = 4_096, 8, 12
REFERENCE = "vault:"

_ASSIGNED = re.compile(r"^(?:export\s+|set\s+|\$env:)?([A-Za-z_][\w.-]*)\s*[=:]\s*(\S.*)$")
_NAMED = re.compile(r"^([A-Za-z][\w.-]*)(?:/([\w.@-]+))?(?:\s*[:=,;|]\s*|\s+)(\S+)$")
_WORD = re.compile(r"[A-Za-z0-9_\-./+=~]{8,}")
_COMMENT = re.compile(r"^(#|//|;|--\s)|^\s*$")
_FIELDS = ("key", "api_key", "apikey", "apiKey", "secret", "token", "value")


@dataclass(frozen=True, slots=True)
class Recognised:
    """One key, or one line that holds none. `line` counts from 1 (0: inside JSON). `problem` says why it cannot be taken in."""

    line: int
    secret: str = field(default="", repr=False)
    provider: str = ""
    account: str = ""
    tier: Tier | None = None
    label: str = ""
    problem: str = ""

    @property
    def tail(self) -> str:
        """The last four characters, where that leaves enough unsaid."""
        return self.secret[-4:] if len(self.secret) >= SHORTEST_SHOWN else ""

    @property
    def masked(self) -> str:
        return f"…{self.tail}" if self.tail else "…"


def recognise(text: str, models: ModelsSettings) -> tuple[Recognised, ...]:
    """Every key in `text`, in order; lines that look as if they held one but do not are told with a `problem`."""
    text = text[:MAX_CHARS]
    found = _in_json(text, models)
    if found is None:
        found = [r for number, line in enumerate(text.splitlines(), 1) for r in _in_line(number, line, models)]
    return tuple(_without_repeats(found[:MAX_KEYS]))


def provider_of(secret: str, models: ModelsSettings) -> str | None:
    """The provider whose key pattern fits; when several do, the one that says most about how a key begins."""
    fitting = [
        (len(_beginning(settings.key_pattern)), name)
        for name, settings in models.providers.items()
        if settings.key_pattern and re.search(settings.key_pattern, secret)
    ]
    return max(fitting)[1] if fitting else None


def provider_in(name: str, models: ModelsSettings) -> str | None:
    """The provider that a name such as GEMINI_API_KEY_2 speaks of, by its name or an alias; the longest that fits."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower())
    fitting = []
    for provider, settings in models.providers.items():
        for alias in (provider, *settings.aliases):
            wanted = re.sub(r"[^a-z0-9]+", "_", alias.lower())
            if re.search(rf"(^|_){re.escape(wanted)}(_|$)", words):
                fitting.append((len(wanted), provider))
    return max(fitting)[1] if fitting else None


def _beginning(pattern: str) -> str:
    """The literal text a pattern starts with: `sk-ant-` of `^sk-ant-[A-Za-z]+$`."""
    found = re.match(r"\^?((?:[A-Za-z0-9_-]|\\.)*)", pattern)
    return found.group(1) if found else ""


# -- lines


def _in_line(number: int, line: str, models: ModelsSettings) -> Iterator[Recognised]:
    line = _plain(line)
    if _COMMENT.match(line) or not any(c.isalnum() for c in line):
        return
    if named := _NAMED.match(line):
        name, account, secret = named.groups()
        provider = models.provider_named(name)
        if provider is not None:
            yield _checked(Recognised(number, _bare(secret), provider, account or ""))
            return
    shaped = [(w, p) for w in _WORD.findall(line) if (p := provider_of(w, models)) is not None]
    if shaped:
        yield from (_checked(Recognised(number, word, provider)) for word, provider in shaped)
        return
    if (assigned := _ASSIGNED.match(line)) and (provider := provider_in(assigned.group(1), models)) is not None:
        yield _checked(Recognised(number, _bare(assigned.group(2)), provider))
        return
    yield _unknown(number, line, models)


def _plain(line: str) -> str:
    """Without the surroundings of a pasted line: list marks, quotes, trailing commas and comments."""
    line = "".join(c for c in line if c.isprintable()).strip()
    line = re.sub(r"^[-*•]\s+", "", line)
    line = re.sub(r"\s+(#|//).*$", "", line)
    return line.strip(",;\"'` ")


def _bare(secret: str) -> str:
    return secret.strip().strip("\"'`,; ")


def _unknown(number: int, line: str, models: ModelsSettings) -> Recognised:
    """Why a line gave no key. The line itself is not repeated: it may hold a secret."""
    named = _NAMED.match(line)
    if named and len(named.group(3)) >= SHORTEST_KEY and re.fullmatch(r"[\w.-]+", named.group(1)) and len(named.group(1)) <= 40:
        known = ", ".join(name for name, p in models.providers.items() if p.needs_key)
        problem = f"no provider {named.group(1)!r} in models.json; there are: {known}"
        return Recognised(number, _bare(named.group(3)), problem=problem)
    word = max(_WORD.findall(line), key=len, default="")
    if len(word) >= 16 and len(line.split()) == 1:
        return Recognised(number, word, problem="provider not recognised; write its name before the key, as in: google AIza…")
    return Recognised(number, problem="no key in this line")


# -- JSON


def _in_json(text: str, models: ModelsSettings) -> list[Recognised] | None:
    """Keys of a JSON document, or None when the text is none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [_checked(r) if not r.problem else r for r in _walk(document, "", models, 0)]


def _walk(value: object, name: str, models: ModelsSettings, depth: int) -> Iterator[Recognised]:
    if depth > 8:
        return
    if isinstance(value, str):
        yield from _from_pair(name, value, models)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, name, models, depth + 1)
    elif isinstance(value, Mapping):
        entry = _from_entry(value, models)
        if entry is not None:
            yield entry
            return
        for key, item in value.items():
            yield from _walk(item, str(key), models, depth + 1)


def _from_entry(entry: Mapping[object, object], models: ModelsSettings) -> Recognised | None:
    """An object like {"provider": …, "key": …, "account": …, "tier": …}."""
    field_name = next((f for f in _FIELDS if isinstance(entry.get(f), str)), None)
    if field_name is None:
        return None
    secret = str(entry[field_name])
    text = {f: str(entry[f]) for f in ("provider", "account", "label", "tier") if isinstance(entry.get(f), str)}
    provider = models.provider_named(text["provider"]) if "provider" in text else provider_of(secret, models)
    tier = Tier(text["tier"].lower()) if text.get("tier", "").lower() in tuple(Tier) else None
    problem = ""
    if provider is None:
        problem = f"no provider {text['provider']!r} in models.json" if "provider" in text else "provider not recognised"
    return Recognised(0, secret, provider or "", text.get("account", ""), tier, text.get("label", ""), problem)


def _from_pair(name: str, value: str, models: ModelsSettings) -> Iterator[Recognised]:
    provider = models.provider_named(name) or provider_of(value, models) or provider_in(name, models)
    if provider is not None and len(value) >= SHORTEST_KEY:
        yield Recognised(0, value, provider)


# -- both


def _checked(found: Recognised) -> Recognised:
    secret = found.secret
    if secret in PLACEHOLDERS or secret.upper().startswith("YOUR_"):
        return replace(found, secret="", problem="a placeholder, not a key")
    if secret.startswith(REFERENCE):
        return replace(found, secret="", problem="a reference to the vault, not a key")
    if not SHORTEST_KEY <= len(secret) <= LONGEST_KEY or any(c.isspace() or not c.isprintable() for c in secret):
        return replace(found, secret="", problem="this is no key")
    return found


def _without_repeats(found: list[Recognised]) -> Iterator[Recognised]:
    seen: set[tuple[str, str]] = set()
    for one in found:
        mark = (one.provider, one.secret)
        if one.secret and not one.problem and mark in seen:
            yield replace(one, problem="given twice")
            continue
        seen.add(mark)
        yield one
