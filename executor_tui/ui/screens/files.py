"""The files of a project's repository at its head, and the text of one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from executor_tui.ui.form import count
from executor_tui.ui.git import file_at, files_of
from executor_tui.ui.screens.base import ConsoleScreen, style_path
from executor_tui.ui.screens.text import TextScreen
from executor_tui.ui.states import Cell
from executor_tui.ui.text import plural
from executor_tui.ui.widgets.columns import Column
from executor_tui.ui.widgets.rows import Rows
from executor_tui.ui.widgets.spans import lines

if TYPE_CHECKING:
    from executor_tui.store.store import Store

Entry = tuple[str, int]


@dataclass(frozen=True, slots=True)
class FilesView:
    files: tuple[Entry, ...]


COLUMNS: tuple[Column[Entry], ...] = (
    Column("path", "File", 0, lambda f, _: Cell(f[0], "accent" if f[0].startswith("docs/") else "plain"), lambda f: f[0]),
    Column("size", "Bytes", 8, lambda f, _: Cell(count(f[1]), "dim"), lambda f: f[1], right=True),
)


class FilesScreen(ConsoleScreen[FilesView]):
    SECTION = "projects"
    TOPICS = frozenset({"project"})
    CSS_PATH = style_path("project")

    def __init__(self, project_id: str, repo: str) -> None:
        super().__init__()
        self.project_id, self.repo = project_id, repo

    def compose_body(self) -> ComposeResult:
        yield Rows(COLUMNS, lambda f: f[0], self.now, id="files")

    async def fetch(self, store: "Store", at: datetime | None) -> FilesView:
        return FilesView(tuple(await asyncio.to_thread(files_of, self.repo)))

    def nothing_in(self, view: FilesView) -> bool:
        return not view.files

    def empty(self) -> Sequence[Cell]:
        return (
            Cell("No files yet", "strong"),
            Cell(""),
            Cell("The PM's document is the first; it is committed when its step is accepted."),
        )

    def crumbs(self) -> Sequence[str]:
        return ("Projects", self.project_id, "files")

    def summary(self) -> str:
        return plural(len(self.view.files), "file") + f" in {self.repo}" if self.view is not None else ""

    def present(self, view: FilesView) -> None:
        self.query_one("#files", Rows).set_items(view.files)

    @on(Rows.Opened)
    def _open(self, message: Rows.Opened) -> None:
        self.console.drill(FileScreen(self.project_id, self.repo, message.item[0]))


class FileScreen(TextScreen[str]):
    SECTION = "projects"
    CSS_PATH = style_path("project")

    def __init__(self, project_id: str, repo: str, path: str) -> None:
        super().__init__()
        self.project_id, self.repo, self.path = project_id, repo, path

    async def fetch(self, store: "Store", at: datetime | None) -> str:
        return await asyncio.to_thread(file_at, self.repo, self.path)

    def crumbs(self) -> Sequence[str]:
        return ("Projects", self.project_id, self.path)

    def present(self, view: str) -> None:
        self.text.set_lines(lines(view))
