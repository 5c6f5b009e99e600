"""The approval: what is asked, what it costs against what is left, what happens on no, who else looks. It cannot be given by accident.

Keys are dead until half a second after the question became visible; the focus is on deny; yes is ctrl+y and nothing else; what cannot be
undone wants its word typed. The store lets the first decision win, and a decision made elsewhere closes the question with a word about it.
"""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from executor_tui.domain.approval import OFFERED_MINUTES, Approval, ApprovalKind, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui.data import approvals
from executor_tui.ui.data.approvals import ApprovalView
from executor_tui.ui.form import left, money
from executor_tui.ui.keys import bind
from executor_tui.ui.messages import DataFailed, DataLoaded
from executor_tui.ui.modals.base import Modal
from executor_tui.ui.states import Cell, Tone, look, look_word
from executor_tui.ui.widgets.lines import Lines
from executor_tui.ui.widgets.press import Choice, Press
from executor_tui.ui.widgets.spans import Line, fact, line
from executor_tui.ui.workers import start

DEAD_S = 0.5
"""How long keys stay dead after the question became visible."""
TOPICS = frozenset({"approvals", "operators", "project"})


class ApprovalModal(Modal[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+y", "approve", "Approve", "approval.approve", changes=True),
        bind("escape", "later", "Decide later", "approval.later"),
        bind("tab", "app.focus_next", "Next", "approval.next", show=False),
        bind("shift+tab", "app.focus_previous", "Previous", "approval.previous", show=False),
    ]

    def __init__(self, approval_id: str) -> None:
        super().__init__()
        self.approval_id = approval_id
        self.view: ApprovalView | None = None
        self._visible_at_s: float | None = None
        self._deciding = self._answered = False

    # -- the frame --------------------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield Lines(id="facts")
            with Horizontal(id="scope-row"):
                yield Label("Applies to  ", markup=False)
                yield Choice([ApprovalScope.ONCE.value], id="scope")
                yield Input(id="amount", compact=True, restrict=r"[0-9.]*", max_length=9)
            with Horizontal(id="word-row"):
                yield Label("", id="word-ask", markup=False)
                yield Input(id="word", compact=True)
            with Horizontal(id="answers"):
                yield Press("Deny", id="deny", tone="bad")
                yield Label("  ", markup=False)
                yield Label("", id="approve-hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#scope-row").display = False
        self.query_one("#word-row").display = False
        self.query_one("#facts", Lines).can_focus = False
        self.query_one("#deny").focus()
        self.set_interval(1.0, self._tick)
        self.refresh_data()

    def looking_at(self) -> str:
        return self.approval_id

    def _seen(self) -> None:
        if self._visible_at_s is None:
            self._visible_at_s = self.console.clock.monotonic_s()

    def hears(self, event: events.Event, arrived_s: float) -> bool:
        """Nothing that was typed before the question could be read; and somebody who types words is not answering it: each letter that
        means nothing here keeps the keys dead a little longer."""
        if self._visible_at_s is None:
            return False
        now = self.console.clock.monotonic_s()
        dead = arrived_s - self._visible_at_s < DEAD_S
        stray = isinstance(event, events.Paste) or (isinstance(event, events.Key) and event.is_printable)
        if stray and not isinstance(self.focused, Input):
            self._visible_at_s = now
        return not dead

    # -- reading ----------------------------------------------------------------------------------------------

    def topics_changed(self, topics: frozenset[str]) -> None:
        if topics & TOPICS:
            self.refresh_data()

    def refresh_data(self) -> None:
        start(self, self._load, "approval", exclusive=True)

    async def _load(self) -> None:
        own = self.console.attendance.id
        try:
            view = await self.console.link.read(lambda store: approvals.fetch_one(store, self.approval_id, own))
        except ExecutorError as error:
            self.post_message(DataFailed(error, 0.0))
        else:
            self.post_message(DataLoaded(view, 0.0))

    @on(DataFailed)
    def _failed(self, message: DataFailed) -> None:
        self.query_one("#facts", Lines).set_lines([line(f"✗ {message.error.message}", "bad"), line(message.error.hint, "dim")])
        self.call_after_refresh(self._seen)

    @on(DataLoaded)
    def _loaded(self, message: DataLoaded) -> None:
        first, self.view = self.view is None, message.view
        assert self.view is not None
        approval = self.view.approval
        if approval.status is not ApprovalStatus.PENDING:
            self._decided_elsewhere(approval)
            return
        if first:
            self._prepare(approval)
        self._show()
        self.call_after_refresh(self._seen)

    def _decided_elsewhere(self, approval: Approval) -> None:
        by = approval.decided_by or "someone else"
        text = f"{approval.subject}: {look(approval.status).word} by {by}" + (f" ({approval.decided_via})" if approval.decided_via else "")
        if not self._deciding:
            self.console.say(Cell(f"▲ {text}", "warn"))
        self._close()

    # -- showing ----------------------------------------------------------------------------------------------

    def _prepare(self, approval: Approval) -> None:
        if approval.kind is ApprovalKind.CRITICAL_MODEL:
            scope = self.query_one("#scope", Choice)
            scope.options = ["once", *(["project, up to $"] if approval.project_id else []), "all, minutes"]
            scope.refresh()
            self.query_one("#scope-row").display = True
            self.query_one("#amount").display = False
        if approval.word:
            self.query_one("#word-row").display = True
            self.query_one("#word-ask", Label).update(f"Cannot be undone. Type  {approval.word}  to allow it: ")
        if self.console.view_only:
            self.query_one("#deny").display = False
            self.query_one("#scope-row").display = False
            self.query_one("#word-row").display = False
            self.query_one("#approve-hint", Label).update("view-only: nothing can be decided here   esc close")
        else:
            self.query_one("#approve-hint", Label).update("^y approve    esc later    tab next")

    def _tick(self) -> None:
        if self.view is not None:
            self._show()

    def _show(self) -> None:
        view = self.view
        assert view is not None
        self.query_one("#facts", Lines).set_lines(self._facts(view))

    def _facts(self, view: ApprovalView) -> list[Line]:
        a, now = view.approval, self.console.clock.now()
        until = f"  {left(a.expires_at, now)} left, then it is a no" if a.expires_at else ""
        rows: list[Line] = [(Cell("▲ Approve? ", "warn"), Cell(until, "dim")), line(a.subject, "strong"), line("")]
        rows += [fact("Asked by", " · ".join(p for p in (a.agent_id, a.project_id or "") if p))] if a.agent_id or a.project_id else []
        rows += [fact("Why", a.why)] if a.why else []
        rows += [fact("Model", a.model_id)] if a.model_id else []
        rows += [(Cell(f"{'Risk':<12} ", "dim"), look_word(a.risk).cell)] if a.risk else []
        rows.append(fact("Cost", self._cost(view), "warn" if self._over(view) else "plain"))
        rows.append(fact("If denied", a.if_denied or "the request goes on without it"))
        if view.lookers:
            rows.append(fact("Also looking", ", ".join(f"{o.name} ({o.origin})" for o in view.lookers), "info"))
        diff = a.details.get("diff")
        if isinstance(diff, list | tuple):
            rows.append(line(""))
            tones: dict[str, Tone] = {"+": "good", "-": "bad", "!": "bad"}
            rows += [line(str(row), tones.get(str(row)[:1], "plain")) for row in diff]
        warnings = a.details.get("warnings")
        if isinstance(warnings, list | tuple):
            shown = {str(row).removeprefix("! ") for row in diff} if isinstance(diff, list | tuple) else set()
            rows += [line(f"▲ {row}", "warn") for row in warnings if row not in shown]
        return rows

    def _left_usd(self, view: ApprovalView) -> float | None:
        """The least of what the project's and the day's budgets still hold; None when there is no budget."""
        config = self.console.link.config
        day = config.executor.budgets.day_usd if config is not None else None
        held = [day - view.spent_today_usd] if day is not None else []
        if view.project is not None and view.project.budget_usd is not None:
            held.append(view.project.budget_usd - view.project.cost_usd)
        return min(held) if held else None

    def _over(self, view: ApprovalView) -> bool:
        held = self._left_usd(view)
        return held is not None and view.approval.estimate_usd > held

    def _cost(self, view: ApprovalView) -> str:
        estimate, held = view.approval.estimate_usd, self._left_usd(view)
        if not estimate:
            return "nothing" if held is None else f"nothing known; {money(held)} of the budget is left"
        if held is None:
            return f"about {money(estimate)}; no budget is set"
        share = "  ▲ more than is left" if estimate > held else f", {estimate / held:.0%} of it" if held > 0 else ""
        return f"about {money(estimate)} of {money(held)} left{share}"

    # -- deciding ---------------------------------------------------------------------------------------------

    @on(Choice.Changed)
    def _scope_changed(self) -> None:
        amount, scope = self.query_one("#amount", Input), self.query_one("#scope", Choice)
        amount.display = scope.value != "once"
        if scope.value.startswith("project") and self.view is not None:
            held = self._left_usd(self.view)
            wanted = self.view.approval.offered_usd
            amount.value = f"{min(wanted, held) if held is not None and held > 0 else wanted:.2f}"
        elif scope.value != "once":
            amount.value = f"{OFFERED_MINUTES:.0f}"

    def _decision(self, approved: bool) -> Decision | None:
        """What is to be recorded; None, with a word about it, when the amount makes no sense."""
        who, via = self.console.who.name, f"console {self.console.who.origin}"
        scope = self.query_one("#scope", Choice).value
        if not approved or scope == "once":
            return Decision(approved, who, via)
        try:
            amount = float(self.query_one("#amount", Input).value)
        except ValueError:
            amount = 0.0
        if amount <= 0:
            self._complain("the amount must be above zero")
            return None
        if scope.startswith("project"):
            return Decision(True, who, via, ApprovalScope.PROJECT, limit_usd=amount)
        return Decision(True, who, via, ApprovalScope.MINUTES, minutes=amount)

    def _complain(self, text: str) -> None:
        self.query_one("#approve-hint", Label).update(f"✗ {text}    ^y approve    esc later")

    def action_approve(self) -> None:
        if self.view is None:
            return
        word = self.view.approval.word
        if word and self.query_one("#word", Input).value.strip() != word:
            self._complain(f"type {word} first")
            self.query_one("#word").focus()
            return
        decision = self._decision(True)
        if decision is not None:
            self._decide(decision)

    @on(Press.Pressed, "#deny")
    def _deny(self) -> None:
        decision = self._decision(False)
        if self.view is not None and not self.console.view_only and decision is not None:
            self._decide(decision)

    def _decide(self, decision: Decision) -> None:
        self._deciding = True
        self.console.act(self.console.operations.decide(self.approval_id, decision))
        self._close()

    def _close(self) -> None:
        """Once, whoever decides first."""
        if not self._answered:
            self._answered = True
            self.dismiss(None)

    def action_later(self) -> None:
        self._close()
