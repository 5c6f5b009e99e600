"""Every screen, page and modal of the console, and the keys that lead to each: what pictures, snapshots and tests of bindings walk."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from desk import Desk, open_desk
from textual.widgets import Input

from executor_tui.config.places import Places
from executor_tui.ui.data import settings
from executor_tui.ui.registry import SECTIONS

Go = Callable[[Desk], Awaitable[None]]


@dataclass(frozen=True)
class View:
    """`go` leads there from the Fleet screen with nothing open."""

    name: str
    go: Go
    modal: bool = False


def keys(*pressed: str) -> Go:
    """Key names; `@id` puts the cursor on that row as moving there would."""

    async def go(desk: Desk) -> None:
        for key in pressed:
            if key.startswith("@"):
                await desk.until(lambda wanted=key[1:]: desk.rows.put_cursor(wanted), f"row {key}")
            else:
                await desk.press(key)
            if key.isdigit() and len(desk.app.screen_stack) > 1:  # a section keeps its place; a view begins at its first page
                await desk.press(key)

    return go


def opening(modal: str, *args: object) -> Go:
    """A modal that opens by itself: by its module and class."""

    async def go(desk: Desk) -> None:
        from importlib import import_module

        module, _, name = modal.partition(":")
        screen = getattr(import_module(f"executor_tui.ui.modals.{module}"), name)(*args)
        desk.app.call_later(desk.app.push_screen, screen)
        await desk.until(lambda: desk.app.screen is screen and screen.is_mounted, name)

    return go


def approving(approval_id: str) -> Go:
    async def go(desk: Desk) -> None:
        await opening("approval:ApprovalModal", approval_id)(desk)
        await desk.until(lambda: desk.app.screen._visible_at_s is not None, "the approval has been read")

    return go


def typed(*first: str, text: str) -> Go:
    """Keys, then words typed into the prompt."""

    async def go(desk: Desk) -> None:
        await keys(*first)(desk)
        await desk.type(text)
        await desk.settle()

    return go


async def settings_go(desk: Desk) -> None:
    """The Settings screen says where each operator is: wait until it is known that this one is here."""
    await desk.press("9")
    if desk.app.store_problem is None:
        await desk.until(
            lambda: desk.app.chrome is not None and any(o.screen == "settings" for o in desk.app.chrome.operators), "attendance"
        )
        await desk.press("ctrl+r")


SECTION_VIEWS: tuple[View, ...] = tuple(View(s.name, settings_go if s.name == "settings" else keys(s.key)) for s in SECTIONS)
PAGES: tuple[View, ...] = (
    View("fleet-agent", keys("1", "@coder-001", "enter")),
    View("hydra-pool", keys("2", "@key-google-default", "enter")),
    View("projects-project", keys("3", "@prj-invoices", "enter")),
    View("projects-step", keys("3", "@prj-invoices", "enter", "@stp-3", "enter")),
    View("projects-files", keys("3", "@prj-invoices", "enter", "f")),
    View("projects-file", keys("3", "@prj-invoices", "enter", "f", "home", "enter")),
    View("approvals-decided", keys("5", "@apr-old1", "enter")),
    View("recovery-report", keys("6", "home", "enter")),
    View("infra-change", keys("7", "tab", "home", "enter")),
)
MODALS: tuple[View, ...] = (
    View("ask-model", approving("apr-opus"), modal=True),
    View("ask-change", approving("apr-fire"), modal=True),
    View("ask-keys", keys("2", "e"), modal=True),
    View("ask-project", keys("3", "n"), modal=True),
    View("ask-confirm", keys("3", "@prj-invoices", "x"), modal=True),
    View("ask-question", keys("3", "@prj-backup", "enter", "r"), modal=True),
    View("ask-quit", opening("quit:QuitModal"), modal=True),
    View("welcome", opening("welcome:WelcomeModal"), modal=True),
    View("help", keys("3", "question_mark"), modal=True),
    View("filter", typed("1", text="/coder|architect")),
    View("command", typed("1", text=":pro")),
)
VIEWS: tuple[View, ...] = (*SECTION_VIEWS, *PAGES, *MODALS)


async def home(desk: Desk) -> None:
    """Nothing open, the Fleet screen in front, nothing said."""
    app = desk.app
    top = app.top
    if top is not None and top.prompt_open:
        await desk.press("escape")
    if top is not None and top.active_filter():
        await desk.press("escape")
    while len(app.screen_stack) > 1:
        await app.pop_screen()
    await desk.press("1")
    app.said = None
    app._each_screen(lambda screen: screen.frame())


async def show(desk: Desk, view: View) -> None:
    """Go there from wherever one is, and wait until it stands still."""
    await home(desk)
    await view.go(desk)
    await still(desk)


async def still(desk: Desk) -> None:
    """No blinking, no passing word; everything drawn."""
    desk.app.said = None
    desk.app._each_screen(lambda screen: screen.frame())
    for field in desk.app.screen.query(Input):
        field.cursor_blink = False
        field._cursor_visible = True
    await desk.settle()


@asynccontextmanager
async def pinned(folder: Path, *, no_color: bool = False) -> AsyncIterator[Places]:
    """Relative directories inside `folder`, a terminal of 256 colours, and nothing of this machine in what is shown."""
    environ = {k: v for k, v in os.environ.items() if k not in ("COLORTERM", "TMUX", "STY", "SSH_CONNECTION", "NO_COLOR")}
    environ |= {"TERM": "xterm-256color", "TEXTUAL_ANIMATIONS": "none"} | ({"NO_COLOR": "1"} if no_color else {})
    before = Path.cwd()
    shipped = mock.patch.object(settings, "shipped", lambda kind: Path("/opt/executor") / kind)
    version = mock.patch.object(settings, "__version__", "1.0")
    with mock.patch.dict(os.environ, environ, clear=True), shipped, version:
        os.chdir(folder)
        try:
            for name in ("config", "state"):
                Path(name).mkdir(mode=0o700, exist_ok=True)
            yield Places(Path("config"), Path("state"))
        finally:
            os.chdir(before)


async def walk(desk: Desk, views: Sequence[View] = VIEWS) -> AsyncIterator[View]:
    """Each view in turn, in front and still."""
    for view in views:
        await show(desk, view)
        yield view


__all__ = ["MODALS", "PAGES", "SECTION_VIEWS", "VIEWS", "View", "home", "open_desk", "pinned", "show", "still", "walk"]
