"""Checkpoints, written together: whatever arrives while one commit is on its way to the disk goes out with the next."""

import asyncio
from dataclasses import dataclass, field

from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import StoreError
from executor_tui.domain.recovery import Checkpoint
from executor_tui.store.agents import Checkpoints


@dataclass
class _Batch:
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    items: dict[str, Checkpoint] = field(default_factory=dict)


class CheckpointWriter:
    """`save` returns when the checkpoint is on disk. Of two for one agent in one batch the later one is kept."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._next: _Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def save(self, checkpoint: Checkpoint) -> None:
        """Raises StoreError when it could not be written; then nothing of its batch was."""
        if self._next is None:
            self._next = _Batch()
        batch = self._next
        batch.items[checkpoint.agent_id] = checkpoint
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(), name="checkpoints")
        await asyncio.shield(batch.done)
        crash_point("recovery.checkpoint")

    async def _write(self) -> None:
        while self._next is not None:
            batch, self._next = self._next, None
            try:
                await self._checkpoints.save_all(tuple(batch.items.values()))
            except StoreError as exc:
                batch.done.set_exception(exc)
            except BaseException:
                batch.done.cancel()
                raise
            else:
                batch.done.set_result(None)
