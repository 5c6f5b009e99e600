"""What `lxc` and `net` share: asking for a change, showing its plan, taking consent at the terminal, and following it to its end."""

import asyncio
import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from executor_tui.cli.context import Cli
from executor_tui.domain.change import Change, ChangeStatus

if TYPE_CHECKING:
    from executor_tui.agents.device import Device, Json
    from executor_tui.config.load import Config
    from executor_tui.core.changes.runtime import ModelAccess
    from executor_tui.domain.approval import Approval
    from executor_tui.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_TOLD = ("change.progress", "change.proposed", "change.planned")
_EXIT = {ChangeStatus.DONE: 0, ChangeStatus.NOTHING_TO_DO: 0, ChangeStatus.ROLLED_BACK: 1, ChangeStatus.FAILED: 1, ChangeStatus.REFUSED: 3}


@dataclass(frozen=True)
class How:
    """How a change is asked for: on which device, whether only its plan is wanted, and what is consented to beforehand."""

    device: str = ""
    plan_only: bool = False
    yes: bool = False
    confirm: str = ""
    project: str = ""


def asking(function: F) -> F:
    """Adds the options every change takes and hands them over as `how`."""
    import functools

    @click.option("--device", default="", metavar="ID", help="The agent whose device is meant, when there are several.")
    @click.option("--plan", "plan_only", is_flag=True, help="Show what would be done, and do nothing.")
    @click.option("--yes", is_flag=True, help="Consent now, to whatever is not destructive.")
    @click.option("--confirm", default="", metavar="WORD", help="Consent now to something destructive, by its word.")
    @click.option("--for", "project", default="", metavar="PROJECT", help="The project it is for.")
    @functools.wraps(function)
    def wrapped(*args: Any, device: str, plan_only: bool, yes: bool, confirm: str, project: str, **kwargs: Any) -> Any:
        return function(*args, how=How(device, plan_only, yes, confirm, project), **kwargs)

    return wrapped  # type: ignore[return-value]


def with_device(cli: Cli, kind: str, named: str, work: "Callable[[Device, Store, Config], Awaitable[T]]") -> T:
    """Run `work` with the device of this kind. Raises ConfigError when there is none, or several and none is named."""
    from executor_tui.agents.devices import entry_of_kind, open_device
    from executor_tui.agents.links import drop_links

    config = cli.config()

    async def run(store: "Store") -> T:
        entry = entry_of_kind(config, kind, named)
        try:
            return await work(await open_device(entry.id, store, config, cli.places), store, config)
        finally:
            drop_links()

    return cli.run(run)


def change(cli: Cli, kind: str, operations: "Sequence[Json]", how: How) -> None:
    """Ask for a change and see it through; or with --plan only show it. Ends with the exit code of what became of it."""
    if how.plan_only:
        plan = with_device(cli, kind, how.device, lambda device, store, config: plan_of(device, operations))
        cli.emit({"plan": plan}, lambda: plan_text(plan))
        return

    async def work(device: "Device", store: "Store", config: "Config") -> Change:
        from executor_tui.agents.device import Asked
        from executor_tui.core.changes.requests import submit

        asked = Asked(device.id, tuple(operations), requested_by=getpass.getuser(), agent_id=device.id, project_id=how.project)
        made = await submit(store, device, asked)
        return await see_through(cli, store, config, made, how)

    ended = with_device(cli, kind, how.device, work)
    report(cli, ended)


async def plan_of(device: "Device", operations: "Sequence[Json]") -> "Json":
    """The plan as JSON. Nothing is changed; what a real one would decide once (ids, keys) is decided for show."""
    from executor_tui.agents.device import plan_to_json
    from executor_tui.core.changes.risk import risk_of

    checked = device.check(operations)
    resolved = await device.resolve(checked, (), _ShowHands())
    plan = await device.plan(resolved, "chg-plan")
    shown = plan_to_json(plan)
    shown["risk"] = str(risk_of(plan.risks))
    return shown


class _ShowHands:
    """Hands for planning without doing: keys are made and forgotten."""

    change_id, project_id, agent_id = "chg-plan", "", ""

    def say(self, line: str) -> None:
        """Nothing happens, so nothing is said."""

    async def secret(self, ref: str) -> str:
        raise LookupError(ref)

    async def secret_or_new(self, ref: str, make: Callable[[], str]) -> str:
        return make()


def plan_text(shown: "Json") -> str:
    """A plan for people: what changes, the calls, the risk, and what to be warned of."""
    diff, calls, warnings = shown["diff"], shown["calls"], shown["warnings"]
    assert isinstance(diff, list) and isinstance(calls, list) and isinstance(warnings, list)
    if not calls:
        return "nothing to do: everything is as wanted already"
    lines = [*map(str, diff), "", f"risk: {shown['risk']}", f"guard: {shown['guard']}", "calls:"]
    lines += [f"  {number}. {call['about']}" for number, call in enumerate(calls, 1)]
    lines += [f"warning: {line}" for line in warnings]
    return "\n".join(_printable(line) for line in lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


async def see_through(cli: Cli, store: "Store", config: "Config", made: Change, how: How) -> Change:
    """Follow a change to its end, or to where it waits for somebody else. Runs the work in this process when no node does."""
    async with _somebody_working(cli, store, config):
        return await _follow(cli, store, made, how)


@asynccontextmanager
async def _somebody_working(cli: Cli, store: "Store", config: "Config") -> AsyncIterator[None]:
    if await led(store):
        yield
        return
    from executor_tui.agents.links import drop_links
    from executor_tui.core.changes.host import ChangeHost
    from executor_tui.core.identity import node_id

    cli.note("no node runs; working on it in this process")
    name = f"{node_id(cli.places.state_dir)}-command"
    async with AsyncExitStack() as stack:
        access = await stack.enter_async_context(model_at_hand(cli, store))
        host = await stack.enter_async_context(ChangeHost(store, cli.places, lambda: config, name, model_access=access))
        running = asyncio.create_task(host.run(), name="changes")
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(running, return_exceptions=True)
            drop_links()


@asynccontextmanager
async def model_at_hand(cli: Cli, store: "Store") -> "AsyncIterator[ModelAccess]":
    """The way to a model, for a request in words: a gateway is reached, or started, only when it is asked for."""
    from executor_tui.cli.door import open_door

    async with AsyncExitStack() as stack:

        async def access(agent_id: str, project_id: str) -> tuple[str, str]:
            door = await stack.enter_async_context(open_door(cli, store, "words", agent_id))
            return f"{door.url}/v1", door.secret

        yield access


async def led(store: "Store") -> bool:
    """Whether a node leads, which then works on changes."""
    return await store.leases.leader() is not None


async def _follow(cli: Cli, store: "Store", made: Change, how: How) -> Change:
    from contextlib import aclosing

    seq, told, warnings = await store.events.last_seq() - 20, "", None
    async with aclosing(store.feed()) as feed:
        async for _ in feed:
            for event in await store.events.after(max(0, seq)):
                seq = event.seq
                if event.subject_id == made.id and event.kind in _TOLD:
                    cli.note(_printable(event.message))
                    warnings = event.data.get("warnings") or warnings
            seen = await store.changes.get(made.id)
            if seen.status.final:
                for line in warnings if isinstance(warnings, list) and not told else ():
                    cli.note(_printable(f"warning: {line}"))
                return seen
            if seen.status is ChangeStatus.WAITING and seen.detail != told:
                told = seen.detail
                if not await _answered(cli, store, seen, how):
                    return seen
    raise AssertionError("unreachable: the feed does not end by itself")


async def _answered(cli: Cli, store: "Store", seen: Change, how: How) -> bool:
    """Give the consent that was given beforehand or is given at the terminal; False when somebody else must."""
    approval = await store.approvals.find(seen.approval_id) if seen.approval_id else None
    if approval is not None and approval.status != "pending":
        return True
    if approval is None:
        cli.note(seen.detail)
        return sys.stdin.isatty() and not cli.json
    for line in _question(approval):
        cli.note(_printable(line))
    said = await _said(cli, approval, how)
    if said is None:
        return False
    from executor_tui.domain.approval import Decision
    from executor_tui.domain.errors import ConflictError

    try:
        await store.approvals.decide(approval.id, Decision(said, getpass.getuser(), "command line"))
    except ConflictError as exc:
        cli.note(exc.message)
    return True


def _question(approval: "Approval") -> list[str]:
    diff, warnings = approval.details.get("diff"), approval.details.get("warnings")
    lines = [str(line) for line in diff] if isinstance(diff, list | tuple) else []
    lines += [f"warning: {line}" for line in warnings] if isinstance(warnings, list | tuple) else []
    return [*lines, f"risk: {approval.risk}"]


async def _said(cli: Cli, approval: "Approval", how: How) -> bool | None:
    if approval.confirm_word:
        if how.confirm:
            if how.confirm == approval.confirm_word:
                return True
            cli.note(f"the word to confirm with is {approval.confirm_word!r}")
            return None
    elif how.yes:
        return True
    if not sys.stdin.isatty() or cli.json:
        return None
    if approval.confirm_word:
        text = await asyncio.to_thread(click.prompt, f"type {approval.confirm_word} to do it", default="", show_default=False, err=True)
        return bool(text == approval.confirm_word)
    return bool(await asyncio.to_thread(click.confirm, "do it?", default=False, err=True))


def report(cli: Cli, ended: Change) -> None:
    """Print how it ended, or what it waits for, and leave with the exit code of that."""
    receipt = cli.run(lambda store: store.receipts.of_change(ended.id)) if ended.status.final else None
    document = {"change": replace(ended, journal={}), "receipt": receipt}
    cli.emit(document, lambda: outcome_text(ended, undoable=receipt is not None and bool(receipt.undo)))
    code = _EXIT.get(ended.status, 3)
    if code:
        click.get_current_context().exit(code)


def outcome_text(ended: Change, *, undoable: bool = False) -> str:
    """One paragraph: the change, its end, and what can be done now."""
    what = ended.summary or ", ".join(str(operation.get("op", "")) for operation in ended.operations)
    head = f"{ended.id} {ended.status.replace('_', ' ')}: {what}"
    lines = [head, *(ended.diff if ended.status is ChangeStatus.DONE and len(ended.diff) > 1 else ())]
    if ended.detail:
        lines.append(f"  {ended.detail}")
    if ended.status is ChangeStatus.WAITING and ended.approval_id:
        lines.append(f"  say yes or no: executor approvals approve {ended.approval_id}, or: executor approvals deny {ended.approval_id}")
        lines.append("  then, when no node runs: executor changes run")
    if undoable:
        lines.append(f"  take it back: executor changes undo {ended.id}")
    return "\n".join(_printable(line) for line in lines)


def megabytes(text: str | None) -> int | None:
    """`2048`, `512M` or `4G` in MiB. Raises UsageError."""
    if text is None:
        return None
    factor = {"M": 1, "G": 1024, "T": 1024 * 1024}.get(text[-1:].upper(), 0)
    digits = text[:-1] if factor else text
    if not digits.isdigit():
        raise click.UsageError(f"{text!r} is no amount of memory; write 2048, 512M or 4G")
    return int(digits) * (factor or 1)


class WordsGroup(click.Group):
    """A group whose first argument may also be a request in words: anything that is no command and holds a space."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            if " " in args[0].strip():
                return super().resolve_command(ctx, ["ask", *args])
            known = ", ".join(sorted(name for name in self.commands if name != "ask"))
            raise click.UsageError(f'no command {args[0]!r}; there are: {known}; or say what you want in words: "…"')
        return super().resolve_command(ctx, args)
