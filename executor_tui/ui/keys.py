"""Bindings: each has an id by which it can be rebound, and says whether it changes anything, so that view-only mode can drop it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding

CHANGING: set[str] = set()
"""Names of the actions that write to the store. View-only mode has none of them."""

ONLY_OPENS = frozenset({"new_project", "enter_keys"})
"""Those of them whose key only opens a form."""

KNOWN: dict[str, Binding] = {}
"""Every binding made so far, by id."""

MULTIPLEXER_KEYS = frozenset({"ctrl+a", "ctrl+b", "ctrl+s", "ctrl+q", "ctrl+j"})
"""Prefixes of tmux and screen, and what terminals keep for flow control: no binding of ours may use them."""


def bind(key: str, action: str, description: str, binding_id: str, *, show: bool = True, changes: bool = False) -> Binding:
    """A binding with an id. `changes` marks an action that view-only mode removes."""
    if changes:
        CHANGING.add(action.split("(")[0].split(".")[-1])
    KNOWN[binding_id] = Binding(key, action, description, show=show, id=binding_id)
    return KNOWN[binding_id]


@dataclass(frozen=True, slots=True)
class Keymap:
    """What keymap.json asks for: binding id → keys; and what is wrong with it, one line each."""

    keys: dict[str, str]
    problems: tuple[str, ...] = ()


def load_keymap(path: Path, known: frozenset[str] = frozenset()) -> Keymap:
    """Read `{"binding.id": "key,key"}`. A bad entry is reported and left out; the others count."""
    if not path.exists():
        return Keymap({})
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig") or "{}")
    except (OSError, ValueError) as exc:
        return Keymap({}, (f"{path}: not JSON: {exc}",))
    if not isinstance(data, dict):
        return Keymap({}, (f"{path}: must be an object of binding id → keys",))
    keys, problems = {}, []
    for name, value in data.items():
        problem = _problem(str(name), value, known)
        if problem:
            problems.append(f"{path}: {problem}")
        else:
            keys[str(name)] = str(value)
    return Keymap(keys, tuple(problems))


TOGETHER = frozenset({"app", "screen"})
"""Places whose bindings work beside those of every other place."""


def keymap_problems(keymap: Mapping[str, str], known: Mapping[str, Binding]) -> list[str]:
    """Ids that are no binding, and keys that another binding of the same place has already; the defaults are as they are meant."""
    wrong = [f"{name!r} is no binding; Settings lists them all" for name in keymap if name not in known]
    keys = {name: _keys(keymap.get(name, binding.key)) for name, binding in known.items()}
    for name in sorted(set(keymap) & set(known)):
        place = name.split(".")[0]
        for other, taken in sorted(keys.items()):
            meet = {place, other.split(".")[0]} & TOGETHER or place == other.split(".")[0]
            both = (keys[name] & taken) - (_keys(known[name].key) & _keys(known[other].key))
            if other != name and meet and both and known[other].action != known[name].action:
                wrong.append(f"{name}: {', '.join(sorted(both))} is {other} already; only one of them will be heard")
    return wrong


def _keys(text: str) -> frozenset[str]:
    return frozenset(key.strip() for key in text.split(","))


def _problem(name: str, value: object, known: frozenset[str]) -> str:
    if known and name not in known:
        return f"{name!r} is no binding; Settings lists them all"
    if not isinstance(value, str) or not value.strip():
        return f'{name}: found {value!r}; a key or several with commas is allowed, e.g. "ctrl+k,f5"'
    taken = sorted({k.strip() for k in value.split(",")} & MULTIPLEXER_KEYS)
    return f"{name}: {', '.join(taken)} belongs to tmux, screen or the terminal" if taken else ""
