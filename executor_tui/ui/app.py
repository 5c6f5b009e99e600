"""The console: moving about. Sections, drilling down, commands, time travel, and the modals that open by themselves."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from executor_tui.config.places import Places
from executor_tui.domain.errors import ExecutorError
from executor_tui.ui import lastscreen
from executor_tui.ui.form import clock
from executor_tui.ui.keys import bind
from executor_tui.ui.registry import BY_NAME, SECTIONS
from executor_tui.ui.screens.bars import key_name
from executor_tui.ui.screens.base import ConsoleScreen
from executor_tui.ui.shell import QUIET_S, Shell
from executor_tui.ui.states import Cell

AT_LEAST = timedelta(seconds=1)
PREPARE_EVERY_S, IDLE_S = 0.2, 0.5
"""Between making two screens ahead of their first opening, and after the last key."""
BUILDING_S, BUILT_S = 0.05, 0.001
"""How long the old picture stays while the next screen is made, and when it is there already."""


class ExecutorApp(Shell, inherit_bindings=False):
    """`executor`."""

    MODES: ClassVar[dict[str, Any]] = {s.name: s.make for s in SECTIONS}
    DEFAULT_MODE = SECTIONS[0].name
    BINDINGS: ClassVar[list[BindingType]] = [
        *(bind(s.key, f"section('{s.name}')", s.title, f"app.{s.name}", show=False) for s in SECTIONS),
        bind("a", "attention", "Attention", "app.attention"),
        bind("n", "new_project", "New project", "app.new_project", changes=True),
        bind("colon", "command", "Command", "app.command"),
        bind("question_mark,f1", "help", "Help", "app.help"),
        bind("q,ctrl+c", "quit", "Quit", "app.quit"),
        bind("left_square_bracket", "step(-1)", "Step back in time", "app.earlier", show=False),
        bind("right_square_bracket", "step(1)", "Step on in time", "app.later", show=False),
    ]

    def __init__(self, places: Places, *args: Any, **kwargs: Any) -> None:
        kept = lastscreen.read(str(places.state_dir))
        if kept is not None and kept.section in BY_NAME:
            self.DEFAULT_MODE = kept.section  # type: ignore[misc] # Textual reads it while it sets up
        super().__init__(places, *args, **kwargs)
        self._offered: set[str] = set()
        self._built = {self.DEFAULT_MODE}
        self._cover_s = BUILDING_S
        self._welcomed = False
        self.greets = True
        """Whether a first run is met with the two ways on; the lab has its own keys on the way."""

    @property
    def top(self) -> "ConsoleScreen[Any] | None":
        """The screen in front, unless a modal is."""
        return self.in_front if isinstance(self.in_front, ConsoleScreen) else None

    @property
    def default_budget_usd(self) -> float | None:
        return self.link.config.executor.projects.budget_usd if self.link.config is not None else None

    # -- moving -----------------------------------------------------------------------------------------------

    async def open_section(self, name: str) -> None:
        """Go to a numbered screen; from inside it, back to its first page."""
        if self.top is None or name not in BY_NAME:
            return
        if name != self.current_mode:
            self.memory.looked[self.current_mode] = self.clock.now()
            self._cover_s = BUILT_S if name in self._built else BUILDING_S
            self._built.add(name)
            await self.switch_mode(name)
        else:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
        self.be_seen()

    def delay_update(self, delay: float = BUILDING_S) -> None:
        # Textual covers every switch for this long, lest a screen be seen half made.
        super().delay_update(min(delay, self._cover_s))

    def others_loaded(self) -> None:
        self.set_timer(PREPARE_EVERY_S, self._prepare_next)

    def _prepare_next(self) -> None:
        """Make the next screen that was not opened yet, while nobody presses anything: its first opening is as quick as the later ones."""
        missing = [s.name for s in SECTIONS if s.name not in self._built]
        if not missing or self.leaving:
            return
        if self.clock.monotonic_s() - self.last_key_s >= IDLE_S and self.at is None:
            self._built.add(missing[0])
            self._init_mode(missing[0])  # mounts it, tells it that it is in front, and it reads what it shows
            self._screen_stacks[missing[0]][0].post_message(events.ScreenSuspend())
        self.others_loaded()

    async def action_section(self, name: str) -> None:
        await self.open_section(name)

    def drill(self, screen: "ConsoleScreen[Any]") -> None:
        """Open something inside the current section."""
        self.push_screen(screen)
        self.be_seen()

    def back(self) -> None:
        """One page up; at the top of a section there is nowhere to go."""
        if len(self.screen_stack) > 1:
            self.pop_screen()
            self.be_seen()

    async def open_target(self, section: str, target: str) -> None:
        """Go to one thing by its id."""
        await self.open_section(section)
        if not target:
            return
        if section == "approvals":
            self.open_approval(target)
            return
        screen = self._page_of(section, target)
        if screen is not None:
            self.drill(screen)

    def _page_of(self, section: str, target: str) -> "ConsoleScreen[Any] | None":
        if section == "projects":
            from executor_tui.ui.screens.project import ProjectScreen

            return ProjectScreen(target)
        if section == "fleet":
            from executor_tui.ui.screens.agent import AgentScreen

            return AgentScreen(target)
        if section == "infra":
            from executor_tui.ui.screens.change import ChangeScreen

            return ChangeScreen(target)
        return None

    async def open_logs(self, agent_id: str = "", project_id: str = "") -> None:
        """The Logs screen, narrowed to an agent or a project."""
        from executor_tui.ui.screens.logs import LogsScreen

        await self.open_section("logs")
        if isinstance(self.screen, LogsScreen):
            self.screen.narrow(agent_id, project_id)

    def is_fresh(self, section: str, moment: datetime | None) -> bool:
        """Whether something changed since the operator last left that screen."""
        looked = self.memory.looked.get(section)
        return looked is not None and moment is not None and moment > looked and self.at is None

    # -- what waits -------------------------------------------------------------------------------------------

    async def action_attention(self) -> None:
        """Go to the most urgent thing that waits."""
        if self.chrome is None:
            self.say(Cell("what waits is still being read", "dim"))
            return
        matters = self.chrome.attention.matters
        if not matters:
            self.say(Cell("✓ nothing waits for you", "good"))
            return
        first = matters[0]
        if first.kind == "question":
            self.open_question(first.id)
        else:
            await self.open_target(first.screen, first.target or first.id if first.kind == "approval" else first.target)

    def chrome_changed(self) -> None:
        if self._may_interrupt() and self.chrome is not None:
            fresh = [a for a in self.chrome.pending if a.id not in self._offered]
            if fresh:
                self.open_approval(fresh[0].id)
            elif self.greets and not self._welcomed and self.chrome.keys == 0 and self.link.config is not None:
                self._welcome()

    def _may_interrupt(self) -> bool:
        """Only over a quiet screen: no modal, nothing being typed, no key in the last moments."""
        top = self.top
        if top is None or top.prompt_open or self.view_only or self.at is not None or self.leaving:
            return False
        return self.clock.monotonic_s() - self.last_key_s >= QUIET_S

    def open_approval(self, approval_id: str) -> None:
        from executor_tui.ui.modals.approval import ApprovalModal

        self._offered.add(approval_id)
        self.push_screen(ApprovalModal(approval_id))
        self.be_seen()

    def open_question(self, question_id: str) -> None:
        from executor_tui.ui.modals.question import QuestionModal

        question = next((q for q in (self.chrome.questions if self.chrome else ()) if q.id == question_id), None)
        if question is not None and question.kind == "keys":
            self.action_enter_keys(question_id)
        elif question is not None:
            self.push_screen(QuestionModal(question))

    def _welcome(self) -> None:
        from executor_tui.ui.modals.welcome import WelcomeModal

        self._welcomed = True
        self.push_screen(WelcomeModal())

    def action_enter_keys(self, question_id: str = "") -> None:
        from executor_tui.ui.modals.keys import KeysModal

        if not self.view_only:
            self.push_screen(KeysModal(question_id))

    def action_new_project(self) -> None:
        from executor_tui.ui.modals.newproject import NewProjectModal

        self.push_screen(NewProjectModal())

    def action_help(self) -> None:
        from executor_tui.ui.modals.help import HelpModal

        top = self.top
        if top is not None:
            self.push_screen(HelpModal(top))

    def confirm(self, question: str, consequence: str, operations: Callable[[], Sequence[Coroutine[Any, Any, str]]]) -> None:
        """Ask before something that cannot be taken back; the focus is on no."""
        from executor_tui.ui.modals.confirm import ConfirmModal

        self.push_screen(ConfirmModal(question, consequence), lambda yes: self.act(*operations()) if yes else None)

    async def action_quit(self) -> None:
        from executor_tui.ui.modals.quit import QuitModal

        if self.node is None or not self.node.ours:
            await self.leave()
        elif self.stop_node_on_quit:
            await self.leave(stop_node=True)
        elif not isinstance(self.screen, QuitModal):
            self.push_screen(QuitModal())

    # -- the command line -------------------------------------------------------------------------------------

    async def action_command(self, begun: str = "") -> None:
        from executor_tui.ui import commands

        top = self.top
        if top is None:
            return
        try:
            ids = await self.link.read(commands.fetch_ids)
        except ExecutorError:
            ids = commands.Ids()
        names = sorted(self.available_themes)
        (await top.prompt()).open("command", ":", begun, completer=lambda text: commands.complete(text, ids, names, self.view_only))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette offers: the keys of this screen by what they do, and every `:` command; Textual's own have keys of ours."""
        from executor_tui.ui import commands

        offered = set[str]()
        for key, active in screen.active_bindings.items():
            binding, action = active.binding, active.binding.action
            if binding.id and binding.description and active.enabled and action not in offered and not action.startswith("section("):
                offered.add(action)
                yield SystemCommand(binding.description, f"key {key_name(key)}", partial(self.run_action, action, active.node))
        for command in commands.COMMANDS:
            if not (command.changes and self.view_only):
                yield SystemCommand(f":{command.usage}", command.about, partial(self._offer_line, command.name, bool(command.argument)))

    async def _offer_line(self, name: str, asks: bool) -> None:
        if asks:
            await self.action_command(f"{name} ")
        else:
            await self.run_line(name)

    async def run_line(self, line: str) -> None:
        """Carry out a `:` command, or say what is wrong with it."""
        if not line:
            return
        from executor_tui.ui import commands

        await self.try_to(commands.run_command(self, line))

    async def try_to(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something, or say why it cannot be done."""
        try:
            await work
        except ExecutorError as error:
            self.say(Cell(f"✗ {error.message}" + (f" – {error.hint}" if error.hint else ""), "bad"))

    async def ask_in_words(self, kind: str, request: str, device: str = "") -> None:
        """Ask a device's agent for a change, and go to where it can be followed. Raises ExecutorError."""
        change_id = await self.operations.ask_in_words(kind, request, device)
        await self.open_target("infra", change_id)
        self.say(Cell(f"✓ {change_id} is asked for; what is proposed waits for your consent", "good"))

    async def save_shown(self, path: str) -> str:
        """Write what the screen shows to a file; a new one in the state directory when none is named."""
        top = self.top
        stamp = self.clock.now().strftime("%Y%m%dT%H%M%S")
        target = Path(path).expanduser() if path else self.places.state_dir / "saved" / f"{self.current_mode}-{stamp}.txt"
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            target.write_text((top.shown_text() if top is not None else "") + "\n", encoding="utf-8")
        except OSError as exc:
            raise ExecutorError(f"cannot write {target}: {exc.strerror}") from exc
        return f"written to {target}"

    # -- time travel ------------------------------------------------------------------------------------------

    def travel(self, at: datetime | None) -> None:
        """Show every screen as it was at a moment; None for the present."""
        if at is not None and at >= self.clock.now():
            at = None
        self.at = at
        self.said = None
        top = self.top
        if top is not None:
            top.refresh_data()
            top.frame()
        self.say(Cell("back in the present" if at is None else f"as of {clock(at, self.zone)}; ] goes on, :now returns", "info"))

    async def action_step(self, direction: int) -> None:
        """To the next or previous moment at which something happened."""
        here = self.at or self.clock.now()
        try:
            moment = await self.link.read(lambda store: store.events.moment_near(here, direction, AT_LEAST))
        except ExecutorError as error:
            self.say(Cell(f"✗ {error.message}", "bad"))
            return
        if moment is None and direction < 0:
            self.say(Cell("nothing is recorded before that", "dim"))
        else:
            self.travel(moment)
