"""The words after `:`. Each names what it completes, and whether it changes anything."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from executor_tui.domain.agent import Role
from executor_tui.domain.errors import UsageError
from executor_tui.ui.moments import parse_moment
from executor_tui.ui.registry import SECTIONS
from executor_tui.ui.states import Cell

if TYPE_CHECKING:
    from executor_tui.store.store import Store
    from executor_tui.ui.app import ExecutorApp

Argument = Literal["", "agent", "project", "approval", "question", "theme", "text", "device", "change"]


@dataclass(frozen=True, slots=True)
class Ids:
    """What the command line completes ids from; read when it opens."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)


async def fetch_ids(store: "Store") -> Ids:
    """Newest first, a bounded number of each."""
    agents = await store.agents.list()
    return Ids({
        "agent": tuple(a.id for a in agents[:500]),
        "device": tuple(f"@{a.id} " for a in agents if a.role in (Role.NETWORK, Role.PROXMOX)),
        "change": tuple(c.id for c in (await store.changes.list())[:200]),
        "project": tuple(p.id for p in (await store.projects.list())[:200]),
        "approval": tuple(a.id for a in await store.approvals.pending()),
        "question": tuple(q.id for q in await store.questions.open()),
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    usage: str
    about: str
    run: "Callable[[ExecutorApp, str], Awaitable[None]]"
    argument: Argument = ""
    changes: bool = False


def _open(name: str) -> "Callable[[ExecutorApp, str], Awaitable[None]]":
    async def run(app: "ExecutorApp", _: str) -> None:
        await app.open_section(name)

    return run


async def _new(app: "ExecutorApp", goal: str) -> None:
    if goal:
        app.act(_created(app, goal))
    else:
        app.action_new_project()


async def _created(app: "ExecutorApp", goal: str) -> str:
    return f"project {await app.operations.create_project(goal, app.default_budget_usd)} is queued"


async def _project(app: "ExecutorApp", project_id: str) -> None:
    await app.open_target("projects", project_id)


async def _agent(app: "ExecutorApp", agent_id: str) -> None:
    await app.open_target("fleet", agent_id)


async def _approval(app: "ExecutorApp", approval_id: str) -> None:
    await app.open_target("approvals", approval_id)


async def _answer(app: "ExecutorApp", text: str) -> None:
    question_id, _, answer = text.partition(" ")
    if not answer.strip():
        raise UsageError(":answer needs an id and your words: answer ID TEXT")
    app.act(app.operations.answer(question_id, answer.strip()))


async def _cancel(app: "ExecutorApp", project_id: str) -> None:
    app.act(app.operations.cancel_project(project_id))


def _in_words(kind: str, name: str) -> "Callable[[ExecutorApp, str], Awaitable[None]]":
    async def run(app: "ExecutorApp", text: str) -> None:
        first, _, rest = text.partition(" ")
        device, request = (first[1:], rest.strip()) if first.startswith("@") else ("", text)
        if not request:
            raise UsageError(f":{name} needs a request in words: {name} [@DEVICE] WORDS")
        await app.ask_in_words(kind, request, device)

    return run


async def _change(app: "ExecutorApp", change_id: str) -> None:
    await app.open_target("infra", change_id)


async def _undo(app: "ExecutorApp", change_id: str) -> None:
    app.act(app.operations.take_back(change_id))


async def _keys(app: "ExecutorApp", _: str) -> None:
    app.action_enter_keys()


async def _at(app: "ExecutorApp", text: str) -> None:
    app.travel(parse_moment(text, app.clock.now(), app.zone_of_now()))


async def _now(app: "ExecutorApp", _: str) -> None:
    app.travel(None)


async def _theme(app: "ExecutorApp", name: str) -> None:
    if name not in app.available_themes:
        raise UsageError(f"no theme {name!r}; there are: {', '.join(sorted(app.available_themes))}")
    app.choose_theme(name)


async def _who(app: "ExecutorApp", _: str) -> None:
    present = app.chrome.operators if app.chrome is not None else ()
    app.say(Cell("attached: " + ", ".join(f"{o.name} ({o.origin}, {o.screen or 'arriving'})" for o in present), "info"))


async def _save(app: "ExecutorApp", path: str) -> None:
    app.act(app.save_shown(path))


async def _help(app: "ExecutorApp", _: str) -> None:
    app.action_help()


async def _quit(app: "ExecutorApp", _: str) -> None:
    await app.action_quit()


COMMANDS: tuple[Command, ...] = (
    *(Command(s.name, s.name, s.about, _open(s.name)) for s in SECTIONS),
    Command("new", "new GOAL", "ask for a project", _new, "text", changes=True),
    Command("project", "project ID", "open a project", _project, "project"),
    Command("agent", "agent ID", "open an agent", _agent, "agent"),
    Command("approval", "approval ID", "open an approval", _approval, "approval"),
    Command("answer", "answer ID TEXT", "answer a question", _answer, "question", changes=True),
    Command("cancel", "cancel ID", "cancel a project", _cancel, "project", changes=True),
    Command("net", "net [@DEVICE] WORDS", "ask the router's agent for a change", _in_words("routeros", "net"), "device", changes=True),
    Command("lxc", "lxc [@DEVICE] WORDS", "ask the hypervisor's agent for a change", _in_words("proxmox", "lxc"), "device", changes=True),
    Command("change", "change ID", "open a change", _change, "change"),
    Command("undo", "undo ID", "take a change back", _undo, "change", changes=True),
    Command("keys", "keys", "enter API keys", _keys, changes=True),
    Command("at", "at 03:12", "see every screen as it was then", _at, "text"),
    Command("now", "now", "back to the present", _now),
    Command("theme", "theme NAME", "change the colours", _theme, "theme"),
    Command("who", "who", "who is attached, from where", _who),
    Command("save", "save [FILE]", "write what is shown to a file", _save, "text"),
    Command("help", "help", "the keys of this screen", _help),
    Command("quit", "quit", "leave the console", _quit),
)
BY_WORD = {c.name: c for c in COMMANDS}


async def run_command(app: "ExecutorApp", line: str) -> None:
    """Raises UsageError for an unknown command, or one that view-only mode does not have."""
    word, _, rest = line.strip().partition(" ")
    matches = [c for c in COMMANDS if c.name == word] or [c for c in COMMANDS if c.name.startswith(word)]
    if len(matches) != 1:
        near = f"; {', '.join(c.name for c in matches)} begin so" if matches else "; tab shows what there is"
        raise UsageError(f"no command {word!r}{near}")
    if matches[0].changes and app.view_only:
        raise UsageError(f":{matches[0].name} changes something; this console is view-only")
    await matches[0].run(app, rest.strip())


def complete(text: str, ids: Ids, themes: Sequence[str], view_only: bool) -> list[str]:
    """Whole lines that the typed one could become."""
    word, space, rest = text.partition(" ")
    if not space:
        return [c.name for c in COMMANDS if c.name.startswith(word) and not (c.changes and view_only)]
    command = BY_WORD.get(word)
    if command is None:
        return []
    options = themes if command.argument == "theme" else ids.known.get(command.argument, ())
    return [f"{word} {option}" for option in options if option.startswith(rest) or rest in option]
