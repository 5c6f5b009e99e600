"""The screens under the number keys. A new one is a line here, a file in screens/, a file in data/ and a .tcss."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from executor_tui.ui.screens.base import ConsoleScreen


class Section(NamedTuple):
    """`path` is imported when the screen is first opened."""

    key: str
    name: str
    title: str
    path: str
    about: str

    def make(self) -> "ConsoleScreen[Any]":
        module, _, cls = self.path.partition(":")
        screen: ConsoleScreen[Any] = getattr(import_module(f"executor_tui.ui.screens.{module}"), cls)()
        return screen


SECTIONS = (
    Section("1", "fleet", "Fleet", "fleet:FleetScreen", "agents: state, task, cost"),
    Section("2", "hydra", "Hydra", "hydra:HydraScreen", "keys, quota pools, parks, limits, spend"),
    Section("3", "projects", "Projects", "projects:ProjectsScreen", "from a goal to tested code"),
    Section("4", "logs", "Logs", "logs:LogsScreen", "every event, as it happens"),
    Section("5", "approvals", "Approvals", "approvals:ApprovalsScreen", "what waits for a yes, and what was decided"),
    Section("6", "recovery", "Recovery", "recovery:RecoveryScreen", "outages and what was done about them"),
    Section("7", "infra", "Infra", "infra:InfraScreen", "containers, routers, changes and receipts"),
    Section("8", "pulse", "Pulse", "pulse:PulseScreen", "calls, tokens, spend, parks and errors over time"),
    Section("9", "settings", "Settings", "settings:SettingsScreen", "themes, bindings, configuration problems"),
)
BY_NAME = {s.name: s for s in SECTIONS}


MODALS = ("approval", "confirm", "help", "keys", "newproject", "question", "quit", "welcome")
PAGES = ("agent", "approval", "change", "files", "pool", "project", "report", "step")


def load_all() -> None:
    """Import every screen and modal: for what lists all bindings."""
    for name in (*(s.path.partition(":")[0] for s in SECTIONS), *PAGES):
        import_module(f"executor_tui.ui.screens.{name}")
    for name in MODALS:
        import_module(f"executor_tui.ui.modals.{name}")
    import_module("executor_tui.ui.widgets.prompt")
