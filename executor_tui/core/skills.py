"""Skills as folders (the open Agent Skills format, agentskills.io/specification), loaded leniently and watched for change by their hashes.

A folder that only departs from the form is loaded with a warning; one without a description or with a broken head is left out with the
reason. Nothing in a folder is ever run.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from executor_tui.config.places import write_atomically
from executor_tui.domain.errors import UsageError

SKILL_FILE, LOCK_FILE = "SKILL.md", "skills.lock.json"
MAX_SKILL_BYTES, MAX_FOLDER_FILES, MAX_FOLDER_BYTES = 512 * 1024, 500, 32 * 1024 * 1024
MAX_NAME, MAX_DESCRIPTION = 64, 1024
CHARS_PER_TOKEN = 4

_HEAD = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_KNOWN_FIELDS = frozenset({"name", "description", "license", "compatibility", "metadata", "allowed-tools"})


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill. `digest` covers every file of its folder; `tokens` estimates what its body costs in a prompt."""

    name: str
    description: str
    body: str
    folder: Path
    digest: str
    warnings: tuple[str, ...] = ()
    shipped: bool = False

    @property
    def tokens(self) -> int:
        return len(self.body) // CHARS_PER_TOKEN + 1


class SkillProblemError(UsageError):
    """A folder that cannot be used as a skill; the message says why."""


def load_skill(folder: Path, *, shipped: bool = False) -> Skill:
    """The skill in a folder. Raises SkillProblemError."""
    text = _text_of(folder / SKILL_FILE)
    match = _HEAD.match(text)
    if match is None:
        raise SkillProblemError(f"{folder / SKILL_FILE}: no frontmatter; the file must begin with a line '---', fields, and a line '---'")
    head, warnings = _head_of(match.group(1), folder)
    description = head.get("description")
    if not isinstance(description, str) or not description.strip():
        raise SkillProblemError(f"{folder / SKILL_FILE}: no description; without one an agent cannot know when to use it")
    name, more = _name_of(head, folder)
    warnings += [*more, *_other_warnings(head, description)]
    body = text[match.end() :].replace("\r\n", "\n").strip()
    if not body:
        warnings.append("the body is empty")
    return Skill(name, " ".join(description.split()), body, folder, digest_of(folder), tuple(warnings), shipped)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_SKILL_BYTES:
            raise SkillProblemError(f"{path}: larger than {MAX_SKILL_BYTES // 1024} KiB; move material into references/")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise SkillProblemError(f"{path.parent}: no {SKILL_FILE} in it") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise SkillProblemError(f"{path}: cannot be read: {exc}") from exc


def _head_of(text: str, folder: Path) -> tuple[dict[str, object], list[str]]:
    """The fields of the head; a value with an unquoted colon is tried again in quotes, as published skills have them."""
    try:
        head = yaml.safe_load(text)
        warnings: list[str] = []
    except (yaml.YAMLError, RecursionError) as first:
        try:
            head = yaml.safe_load(_quoted(text))
        except (yaml.YAMLError, RecursionError):
            problem = str(getattr(first, "problem", "") or first).splitlines()[0]
            raise SkillProblemError(f"{folder / SKILL_FILE}: the frontmatter is no valid YAML: {problem}") from first
        warnings = ["a value with a colon should be in quotes"]
    if not isinstance(head, dict):
        raise SkillProblemError(f"{folder / SKILL_FILE}: the frontmatter has no fields")
    return {str(k): v for k, v in head.items()}, warnings


def _quoted(text: str) -> str:
    lines = []
    for line in text.splitlines():
        key, colon, value = line.partition(": ")
        if colon and ":" in value and not line.startswith((" ", "\t")) and not value.strip().startswith(("'", '"', "|", ">", "[", "{")):
            line = f"{key}: {json.dumps(value.strip(), ensure_ascii=False)}"
        lines.append(line)
    return "\n".join(lines)


def _name_of(head: Mapping[str, object], folder: Path) -> tuple[str, list[str]]:
    """The name by which a skill is known: what the head says if it can be one, else the folder's name."""
    given, warnings = str(head.get("name") or "").strip(), []
    if not given:
        return folder.name, ["no name; the folder's name is used"]
    if not _NAME.fullmatch(given) or len(given) > MAX_NAME:
        warnings.append(f"the name {given[:80]!r} is not 1 to {MAX_NAME} of a-z, 0-9 and single hyphens")
    if given != folder.name:
        warnings.append(f"the name {given[:80]!r} is not the folder's name {folder.name!r}")
    usable = given.isprintable() and "/" not in given and len(given) <= 2 * MAX_NAME
    return (given if usable else folder.name), warnings


def _other_warnings(head: Mapping[str, object], description: str) -> list[str]:
    warnings = []
    if len(description) > MAX_DESCRIPTION:
        warnings.append(f"the description has {len(description)} characters; at most {MAX_DESCRIPTION} are allowed")
    unknown = sorted(set(head) - _KNOWN_FIELDS)
    if unknown:
        warnings.append(f"unknown fields: {', '.join(unknown)[:120]}")
    return warnings


def digest_of(folder: Path) -> str:
    """SHA-256 over every file of a folder, by path and content, links not followed. Raises SkillProblemError for a folder too large."""
    total, count = 0, 0
    outer = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if not p.is_symlink() and p.is_file()):
        size = path.stat().st_size
        total, count = total + size, count + 1
        if count > MAX_FOLDER_FILES or total > MAX_FOLDER_BYTES:
            raise SkillProblemError(f"{folder}: more than {MAX_FOLDER_FILES} files or {MAX_FOLDER_BYTES // 1024 // 1024} MiB")
        outer.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return outer.hexdigest()


@dataclass(frozen=True, slots=True)
class Library:
    """Every skill that could be loaded, by name, and what was left out: (folder, reason). The user's own win over the shipped ones."""

    skills: Mapping[str, Skill]
    left_out: tuple[tuple[str, str], ...] = ()


def load_library(user_dir: Path, shipped_dir: Path) -> Library:
    """All skills of both folders."""
    skills: dict[str, Skill] = {}
    left_out: list[tuple[str, str]] = []
    for directory, shipped in ((user_dir, False), (shipped_dir, True)):
        for folder in _folders(directory):
            try:
                skill = load_skill(folder, shipped=shipped)
            except SkillProblemError as exc:
                left_out.append((str(folder), exc.message))
                continue
            skills.setdefault(skill.name, skill)
    return Library(dict(sorted(skills.items())), tuple(left_out))


def _folders(directory: Path) -> Iterable[Path]:
    if not directory.is_dir():
        return ()
    return sorted(p for p in directory.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))


# -- the lock file -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lock:
    """What was seen last: skill name → (digest, version of Executor for a shipped one, else empty)."""

    entries: Mapping[str, tuple[str, str]]


def read_lock(config_dir: Path) -> Lock:
    """The lock file of a configuration directory; empty when there is none or it is damaged (every skill is then new)."""
    try:
        raw = json.loads((config_dir / LOCK_FILE).read_text(encoding="utf-8"))["skills"]
        return Lock({str(name): (str(entry["sha256"]), str(entry.get("shipped_with", ""))) for name, entry in raw.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Lock({})


def changed_skills(lock: Lock, skills: Iterable[Skill], version: str) -> tuple[Skill, ...]:
    """Skills whose folder is not what the lock says. A shipped one that changed with the program's version is expected to."""
    changed = []
    for skill in skills:
        digest, shipped_with = lock.entries.get(skill.name, (skill.digest, ""))
        came_with_update = skill.shipped and shipped_with not in ("", version)
        if digest != skill.digest and not came_with_update:
            changed.append(skill)
    return tuple(changed)


def write_lock(config_dir: Path, lock: Lock, skills: Iterable[Skill], version: str, accept: Sequence[str] = ()) -> Lock:
    """Record new skills, and those in `accept` or updated with the program; a changed one keeps its old hash until it is accepted."""
    listed = list(skills)
    held = {s.name for s in changed_skills(lock, listed, version)} - set(accept)
    entries = {s.name: (lock.entries[s.name] if s.name in held else (s.digest, version if s.shipped else "")) for s in listed}
    if entries != dict(lock.entries):
        document = {"skills": {n: {"sha256": d, **({"shipped_with": v} if v else {})} for n, (d, v) in sorted(entries.items())}}
        write_atomically(config_dir / LOCK_FILE, json.dumps(document, indent=2) + "\n")
    return Lock(entries)
