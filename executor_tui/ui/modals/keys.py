"""Entering API keys: many at once, each provider told by the shape of its key, each sealed, each verified before one's eyes."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Label

from executor_tui.domain.errors import ConsentError, ExecutorError, UsageError
from executor_tui.domain.key import Key, KeyState
from executor_tui.ui import intake
from executor_tui.ui.intake import Pasted, Taken
from executor_tui.ui.keys import bind
from executor_tui.ui.messages import DataFailed
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.states import Cell, look
from executor_tui.ui.text import fit, plural
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.secret import SecretArea
from executor_tui.ui.widgets.spans import Line, line
from executor_tui.ui.workers import start

if TYPE_CHECKING:
    from executor_tui.store.store import Store

SAY = "One key a line. Where the shape does not tell the provider, write it first: provider KEY, or provider/account KEY."


class KeysTaken(Message):
    """The pasted keys were sealed and added."""

    def __init__(self, taken: tuple[Taken, ...]) -> None:
        super().__init__()
        self.taken = taken


class KeysRead(Message):
    """The rows of the keys just added, with what verifying said so far; and the pools there are."""

    def __init__(self, keys: tuple[Key, ...], pools: tuple[str, ...]) -> None:
        super().__init__()
        self.keys, self.pools = keys, pools


class KeysModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+d", "take_in", "Seal and verify", "keys.take_in", changes=True),
        bind("ctrl+t", "accounts", "One account or several", "keys.accounts"),
    ]

    def __init__(self, question_id: str = "") -> None:
        super().__init__()
        self._question_id = question_id
        self._area = SecretArea(id="secrets")
        self._one_account = False
        self._pasted: tuple[Pasted, ...] = ()
        self._pools: tuple[str, ...] = ()
        self._taken: tuple[Taken, ...] = ()
        self._first = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Label("Enter API keys", id="question", markup=False)
            yield Label(SAY, id="consequence", markup=False)
            yield self._area
            yield Lines(id="found")
            yield Label("", id="hint", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#found", Lines).can_focus = False
        self.query_one("#secrets").focus()
        self._show()
        self._read()

    def on_unmount(self) -> None:
        self._area.forget()
        self._pasted = ()

    # -- reading ----------------------------------------------------------------------------------------------

    def topics_changed(self, topics: frozenset[str]) -> None:
        if "keys" in topics:
            self._read()

    def _read(self) -> None:
        start(self, self._load, "keys-read", exclusive=True)

    async def _load(self) -> None:
        async def use(store: "Store") -> KeysRead:
            return KeysRead(await store.keys.list(), tuple(p.id for p in await store.keys.pools()))

        try:
            self.post_message(await self.console.link.read(use))
        except ExecutorError as error:
            self.post_message(DataFailed(error, 0.0))

    @on(KeysRead)
    def _keys_read(self, message: KeysRead) -> None:
        self._pools = message.pools
        self._first = self._first or not (message.pools or self._taken)
        if self._taken:
            self._show_taken({k.id: k for k in message.keys})

    @on(DataFailed)
    def _failed(self, message: DataFailed) -> None:
        self._hint(f"✗ {message.error.message}" + (f" – {message.error.hint}" if message.error.hint else ""))

    @on(SecretArea.Changed)
    def _changed(self) -> None:
        config = self.console.link.config
        if config is not None:
            self._pasted = intake.read_lines(self._area.reveal(), config.models)
        self._show()

    # -- showing ----------------------------------------------------------------------------------------------

    def _hint(self, text: str) -> None:
        self.query_one("#hint", Label).update(text)

    def _show(self) -> None:
        config = self.console.link.config
        assigned = intake.assign_accounts(self._pasted, self._pools, self._one_account)
        rows = [_pasted_line(one) for one in assigned]
        if config is not None:
            rows += [line("")] if rows else []
            rows += [line(note, "warn") for note in intake.notes(assigned, self._pools, config.models)]
        self.query_one("#found", Lines).set_lines(rows)
        accounts = "all of one account" if self._one_account else "each its own account"
        self._hint(f"^d seal and verify   ^t {accounts}   esc close")

    def _show_taken(self, keys: dict[str, Key]) -> None:
        rows = [_taken_line(one, keys.get(one.key_id)) for one in self._taken]
        self.query_one("#found", Lines).set_lines(rows)
        mine = [keys[t.key_id] for t in self._taken if t.key_id in keys and not t.problem]
        waiting = sum(k.state is KeyState.UNVERIFIED for k in mine)
        good = sum(k.state is KeyState.VERIFIED for k in mine)
        told = f"{plural(len(mine), 'key')} sealed, {good} verified" + (f", {waiting} being verified" if waiting else "")
        self._hint(told + ("   esc done; then n asks for a first project" if self._first else "   esc done"))

    # -- taking in --------------------------------------------------------------------------------------------

    def action_accounts(self) -> None:
        if not self._taken:
            self._one_account = not self._one_account
            self._show()

    def action_take_in(self) -> None:
        if not self._taken:
            start(self, self._take_in, "keys-take", exclusive=True)

    async def _take_in(self) -> None:
        config, places = self.console.link.config, self.console.places
        assigned = intake.assign_accounts(self._pasted, self._pools, self._one_account)
        try:
            if self.console.view_only or config is None:
                raise ConsentError(
                    "this console is view-only; nothing was added" if self.console.view_only else "the store is not open yet"
                )
            intake.require_any(assigned)
            taken = await self.console.link.read(lambda store: intake.take_in(store, config, places, assigned))
        except (ExecutorError, UsageError) as error:
            self.post_message(DataFailed(error, 0.0))
        else:
            self.post_message(KeysTaken(taken))

    @on(KeysTaken)
    def _keys_taken(self, message: KeysTaken) -> None:
        self._taken = message.taken
        self._area.forget()
        self._area.display = False
        self._pasted = ()
        self._read()


def _pasted_line(one: Pasted) -> Line:
    if one.problem:
        return (Cell("✗ ", "bad"), Cell(fit(f"…{one.tail}" if one.tail else "(not shown)", 12)), Cell(one.problem, "bad"))
    return (Cell("○ ", "dim"), Cell(fit(f"…{one.tail}", 12)), Cell(f"{one.provider}/{one.account}", "strong"))


def _taken_line(taken: Taken, key: Key | None) -> Line:
    name = Cell(fit(f"…{taken.tail}", 8))
    pool = Cell(fit(taken.pool_id or taken.provider, 26) + " ", "strong")
    if taken.problem:
        return (Cell("– ", "dim"), name, pool, Cell(taken.problem, "dim" if taken.key_id else "bad"))
    if key is None:
        return (Cell("– ", "dim"), name, pool, Cell("removed meanwhile", "dim"))
    if key.state is KeyState.UNVERIFIED:
        return (Cell("○ ", "dim"), name, pool, Cell(key.state_reason or "being verified by the node", "dim"))
    shown = look(key.state)
    return (Cell(f"{shown.glyph} ", shown.tone), name, pool, Cell(shown.word, shown.tone), Cell(f"  {key.state_reason}", "dim"))
