"""docs/commands.md says what there is: every command, and every shape field by field."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from executor_tui.cli.group import COMMANDS, executor
from executor_tui.domain.agent import Agent
from executor_tui.domain.approval import Approval
from executor_tui.domain.change import Change, Receipt
from executor_tui.domain.event import Event
from executor_tui.domain.key import Key, Park
from executor_tui.domain.model import Model
from executor_tui.domain.project import Project, Question, Step
from executor_tui.domain.recovery import RecoveryReport

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text()
SHAPES: dict[str, type] = {
    "agent": Agent, "project": Project, "step": Step, "question": Question, "key": Key, "park": Park, "approval": Approval,
    "event": Event, "change": Change, "receipt": Receipt, "report": RecoveryReport, "model": Model,
}  # fmt: skip
NEVER_SHOWN = {"key": {"fingerprint"}}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_documented_field_by_field(shape: str) -> None:
    line = next(line for line in GUIDE.splitlines() if line.startswith(f"- *{shape}*: "))
    shown = [f.name for f in fields(SHAPES[shape]) if f.repr and f.name not in NEVER_SHOWN.get(shape, set())]
    assert re.findall(r"`(\w+)`", line) == shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_in_the_guide(name: str) -> None:
    context = click.Context(executor)
    command = executor.get_command(context, name)
    assert command is not None and (command.help or "").strip()
    assert f"`executor {name}" in GUIDE
    for sub in command.list_commands(context) if isinstance(command, click.Group) and name not in ("net", "lxc") else ():
        found = command.get_command(context, sub)
        assert found is not None
        assert found.hidden or re.search(rf"\b{sub}\b", GUIDE), f"executor {name} {sub} is not in docs/commands.md"
