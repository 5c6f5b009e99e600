"""Checkpoints, written together: whatever arrives while one commit is on its way to the disk goes out with the next."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import StoreError
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store.agents import Checkpoints

LARGEST = 100
"""Of one commit: turning rows into values is done on the event loop, and thousands at once would hold it up."""


@dataclass
class _Batch:
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    items: dict[str, Checkpoint] = field(default_factory=dict)


class CheckpointWriter:
    """`save` returns when the checkpoint is on disk. Of two for one agent in one batch the later one is kept."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._waiting: deque[_Batch] = deque()
        self._task: asyncio.Task[None] | None = None

    async def save(self, checkpoint: Checkpoint) -> None:
        """Raises StoreError when it could not be written; then nothing of its batch was."""
        batch = self._room_for(checkpoint.agent_id)
        batch.items[checkpoint.agent_id] = checkpoint
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(), name="checkpoints")
        await asyncio.shield(batch.done)
        crash_point("recovery.checkpoint")

    def _room_for(self, agent_id: str) -> _Batch:
        """The last batch that waits, or a new one behind it."""
        if not self._waiting or (len(self._waiting[-1].items) >= LARGEST and agent_id not in self._waiting[-1].items):
            self._waiting.append(_Batch())
        return self._waiting[-1]

    async def _write(self) -> None:
        while self._waiting:
            batch = self._waiting.popleft()
            try:
                await self._checkpoints.save_all(tuple(batch.items.values()))
            except StoreError as exc:
                batch.done.set_exception(exc)
            except BaseException:
                batch.done.cancel()
                raise
            else:
                batch.done.set_result(None)
