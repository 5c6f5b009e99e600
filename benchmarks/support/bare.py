"""The ruler of the console's figures: a Textual app with nothing but a DataTable. `a` adds 10,000 rows."""

from textual.app import App, ComposeResult
from textual.widgets import DataTable


class Bare(App[None]):
    BINDINGS = [("a", "add", "Add")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("Agent", "State", "Doing", "Cost", "For")
        for n in range(20):
            table.add_row(f"bare-{n:05}", "busy", "something", "$0.10", "3m")
        table.focus()

    def action_add(self) -> None:
        table = self.query_one(DataTable)
        table.clear()
        for n in range(10_000):
            table.add_row(f"many-{n:05}", "busy", "something", "$0.10", "3m")


if __name__ == "__main__":
    Bare().run()
