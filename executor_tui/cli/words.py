"""A request in words from the command line: the agent looks, proposes typed operations, and they become a change that you consent to."""

import asyncio
import contextlib
import getpass
from typing import TYPE_CHECKING

from executor_tui.cli.context import Cli
from executor_tui.cli.machines import How, model_at_hand, plan_of, plan_text, report, see_through, with_device
from executor_tui.domain.change import Change
from executor_tui.domain.errors import ExecutorError, UsageError

if TYPE_CHECKING:
    from executor_tui.agents.device import Device, Json
    from executor_tui.config.load import Config
    from executor_tui.store.store import Store


def ask_in_words(cli: Cli, kind: str, request: str, how: How) -> None:
    """Ask for a change in words and see it through; with --plan only show what would be proposed and done."""
    if how.yes or how.confirm:
        hint = "leave --yes and --confirm away; you are asked when the plan is there"
        raise UsageError("a request in words is consented to after its plan is shown, never before", hint=hint)
    if how.plan_only:
        _show(cli, kind, request, how)
        return

    async def work(device: "Device", store: "Store", config: "Config") -> Change:
        from executor_tui.core.changes import words

        made = await words.ask(store, device.id, kind, request, getpass.getuser(), how.project)
        teller = asyncio.create_task(_tell_of_models(cli, store, device.id), name="approvals")
        try:
            return await see_through(cli, store, config, made, how)
        finally:
            teller.cancel()
            await asyncio.gather(teller, return_exceptions=True)

    report(cli, with_device(cli, kind, how.device, work))


def _show(cli: Cli, kind: str, request: str, how: How) -> None:
    async def work(device: "Device", store: "Store", config: "Config") -> "Json":
        from executor_tui.core.changes import words

        async with model_at_hand(cli, store) as access:
            found = await words.consider(store.clock, config, access, device, request, cli.note)
        if not found.operations:
            raise words.NotUnderstoodError(f"nothing was proposed; the model says: {found.said or 'nothing'}")
        return {"said": found.said, "proposed": list(found.operations), **await plan_of(device, found.operations)}

    shown = with_device(cli, kind, how.device, work)
    cli.emit({"plan": shown}, lambda: f"the model says: {shown['said']}\n\n{plan_text(shown)}")


async def _tell_of_models(cli: Cli, store: "Store", agent_id: str) -> None:
    """Say when the model itself waits for somebody's consent."""
    told: set[str] = set()
    with contextlib.suppress(ExecutorError):
        async for topics in store.feed():
            if topics and "approvals" not in topics:
                continue
            for approval in await store.approvals.pending():
                if approval.kind == "critical_model" and approval.id not in told:
                    told.add(approval.id)
                    cli.note(f"waiting for consent to {approval.subject}: executor approvals approve {approval.id}")
