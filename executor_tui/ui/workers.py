"""Background work of the console. What fails unexpectedly is logged and said, never swallowed, and never takes the console down."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from textual.dom import DOMNode
from textual.message import Message

log = logging.getLogger(__name__)


class WorkFailed(Message):
    """Background work ended in an error nobody foresaw."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def start(node: DOMNode, work: Callable[[], Coroutine[Any, Any, object]], group: str, *, exclusive: bool = False) -> None:
    """Run `work` in the background of a widget, screen or app; with `exclusive`, earlier work of the group is cancelled.

    Workers change no widget: they post messages, and handlers own the state.
    """

    async def guarded() -> None:
        try:
            await work()
        except Exception as error:
            log.exception("background work %s of %r failed", group, node)
            node.app.post_message(WorkFailed(error))

    # The function and not its coroutine: work that is cancelled before it began leaves nothing that was never awaited.
    late: Callable[[], Awaitable[None]] = guarded
    node.run_worker(late, group=group, exclusive=exclusive, exit_on_error=False)
