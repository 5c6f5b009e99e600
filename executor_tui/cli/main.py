"""`executor`: the way in. When only the console is asked for, its last screen is on the terminal before anything else is imported."""

import gc
import os
import sys


class Wanted:
    """The console and nothing more is asked for: its options."""

    def __init__(self) -> None:
        self.config: str | None = None
        self.state: str | None = None
        self.view_only = self.inline = False


def console_wanted(argv: list[str]) -> Wanted | None:
    """None when there is anything on the command line that the other commands' parser has to look at."""
    wanted, rest = Wanted(), list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--view-only":
            wanted.view_only = True
        elif word == "--inline":
            wanted.inline = True
        elif name in ("--config", "--state") and (equals or rest):
            setattr(wanted, name.removeprefix("--"), value if equals else rest.pop(0))
        else:
            return None
    return wanted


def main() -> None:
    """Run and exit."""
    wanted = console_wanted(sys.argv[1:])
    if wanted is not None and all(os.isatty(descriptor) for descriptor in (0, 1, 2)):
        sys.exit(_console(wanted))
    from executor_tui.cli.group import run

    sys.exit(run())


def _console(wanted: Wanted) -> int:
    from executor_tui.config.dirs import state_dir
    from executor_tui.ui.curtain import Curtain

    curtain = Curtain(state_dir(wanted.state))
    # Nothing is garbage yet; looking for it would take a tenth of the time to the first frame. The console turns it on again.
    gc.disable()
    try:
        curtain.draw()
        from executor_tui.cli.console import open_console
        from executor_tui.config.places import find_places
        from executor_tui.domain.errors import ExecutorError

        places = find_places(wanted.config, wanted.state)
        try:
            return open_console(places, view_only=wanted.view_only, inline=wanted.inline, curtain=curtain)
        except ExecutorError as error:
            curtain.fall()
            from executor_tui.cli.group import fail

            fail(error.message, error.hint, error.exit_code, False, error)
            return error.exit_code
    except KeyboardInterrupt:
        return 130
    finally:
        curtain.fall()


if __name__ == "__main__":
    main()
