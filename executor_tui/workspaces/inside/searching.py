"""Searching the tree for a regular expression. Meant to run in a process of its own: a bad expression may never end."""

from __future__ import annotations

import os
import re
from typing import TypedDict

from executor_tui.workspaces.inside import faults, files, repository
from executor_tui.workspaces.inside.faults import Fault, shown

MAX_MATCHES = 200
MAX_PATTERN_CHARS = 1000
MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_LINE_CHARS = 400


class MatchRow(TypedDict):
    """A matching line: `line` is 1-based, `text` is cut at `MAX_LINE_CHARS`."""

    path: str
    line: int
    text: str


def search(root: str, pattern: str, glob: str = "") -> list[MatchRow]:
    """Lines that match `pattern` (Python's re), at most `MAX_MATCHES`, by path; binary and large files are passed over."""
    expression = _compiled(pattern)
    found: list[MatchRow] = []
    for path in repository.list_files(root, glob):
        for number, line in enumerate(_lines_of(root, path), start=1):
            if expression.search(line):
                found.append({"path": path, "line": number, "text": line[:MAX_LINE_CHARS]})
                if len(found) == MAX_MATCHES:
                    return found
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    if not pattern or len(pattern) > MAX_PATTERN_CHARS:
        raise Fault(faults.PATTERN, f"the pattern must have 1 to {MAX_PATTERN_CHARS} characters")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Fault(faults.PATTERN, f"{shown(pattern)} is no regular expression: {error}") from error


def _lines_of(root: str, path: str) -> list[str]:
    try:
        with files.opened(root, path) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_FILE_BYTES:
                return []
            data = stream.read(MAX_FILE_BYTES)
    except Fault:
        return []
    return [] if b"\0" in data[: files.SNIFFED_BYTES] else data.decode("utf-8", "replace").splitlines()
