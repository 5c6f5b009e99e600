"""The part of docs/design.md that a program reads: one fenced block named `executor`, holding JSON."""

import json
import re
from dataclasses import dataclass

from executor_tui.agents.tools import one_line

MAX_COMMAND_CHARS = 500
_BLOCK = re.compile(r"^[ \t]*```[ \t]*executor[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Design:
    """What the block says. `problem` is what keeps it from being used, as a line for the model; empty when nothing does."""

    test_command: str = ""
    files: tuple[str, ...] = ()
    problem: str = ""


def design_in(text: str) -> Design:
    """The last `executor` block of a design; later ones correct earlier ones."""
    found = _BLOCK.findall(text[:400_000])
    if not found:
        return Design(problem="the block ```executor with the test_command")
    try:
        block = json.loads(found[-1])
    except (ValueError, RecursionError) as exc:
        return Design(problem=f"valid JSON in its ```executor block ({one_line(str(exc), 80)})")
    command = block.get("test_command") if isinstance(block, dict) else None
    if not isinstance(command, str) or not command.strip():
        return Design(problem="a test_command in its ```executor block")
    if len(command) > MAX_COMMAND_CHARS or not command.isprintable():
        return Design(problem=f"a test_command on one line of at most {MAX_COMMAND_CHARS} characters")
    files = block.get("files")
    names = tuple(str(f) for f in files if isinstance(f, str)) if isinstance(files, list) else ()
    return Design(command.strip(), names)
