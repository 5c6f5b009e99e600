"""From a command to its answer: which part of the router carries it out, whether the caller may, and what is remembered of it."""

from executor_tui.lab.routeros.actions import ACTIONS, READING_ACTIONS, export
from executor_tui.lab.routeros.call import Answer, Call
from executor_tui.lab.routeros.errors import MISSING, TrapError, no_such_command
from executor_tui.lab.routeros.state import Effect
from executor_tui.lab.routeros.verbs import VERBS, WRITES

_EXTRA_DIRECTORIES = ("/system/backup", "/safe-mode", "/tool")
_SECRET_ARGUMENTS = frozenset({"password", "private-key", "preshared-key", "contents", "source", "on-event"})
# Commands on the router itself that are not configuration: safe mode does not count them.
_UNCOUNTED = frozenset({"/safe-mode/take", "/safe-mode/release", "/safe-mode/unroll", "/safe-mode/toggle", "/system/backup/save"})


def is_write(word: str, verb: str) -> bool:
    """Whether a command changes something."""
    return (word in ACTIONS and word not in READING_ACTIONS) or (word not in ACTIONS and verb in WRITES)


def execute(call: Call) -> Answer:
    """Carry out a command that ends by itself. Raises `TrapError`."""
    command = call.command
    if not is_write(command.word, command.verb):
        return _run(call)
    call.require_write()
    try:
        answer = _run(call)
    except TrapError as error:
        _remember(call, error.message)
        raise
    _remember(call, "done")
    if command.word not in _UNCOUNTED and not call.router.muted:
        call.safe_mode.count()
    return answer


def _run(call: Call) -> Answer:
    command = call.command
    action = ACTIONS.get(command.word)
    if action is not None:
        return action(call)
    if command.verb == "export":
        _require_directory(call, command.path)
        return export(call)
    menu = call.router.menus.get(command.path)
    if menu is None:
        _require_directory(call, command.path)
        raise no_such_command()
    if command.verb not in menu.verbs or command.verb not in VERBS:
        raise no_such_command()
    return VERBS[command.verb](call, menu)


def _require_directory(call: Call, path: str) -> None:
    """Raises the trap that names the first step which does not exist."""
    known = (*call.router.menus, *_EXTRA_DIRECTORIES)
    here = ""
    for part in path.split("/")[1:]:
        here += "/" + part
        if not any(other == here or other.startswith(here + "/") for other in known):
            raise TrapError(f"no such command or directory ({part})", MISSING)


def _remember(call: Call, outcome: str) -> None:
    shown = {name: "(hidden)" if name in _SECRET_ARGUMENTS else text for name, text in call.arguments.items()}
    router = call.router
    router.remember(Effect(router.clock.now(), call.caller.session, call.caller.user.name, call.command.word, shown, outcome))
