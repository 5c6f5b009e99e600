"""A real workspace in a real sandbox, without the start of a test runner."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from executor_tui.workspaces.base import Workspace
from executor_tui.workspaces.local import LocalWorkspace


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    made = await LocalWorkspace.create(tmp_path / "repo")
    yield made
    await made.destroy()
