"""When the models cannot be had: how long to wait, and for what."""

from datetime import timedelta

from executor_tui.agents.client import ModelError
from executor_tui.core.pipeline.parts import Parts, WaitError
from executor_tui.core.serving import can_serve
from executor_tui.domain.errors import NothingAvailableError
from executor_tui.domain.project import Project

BACK_OFF_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
LONGEST_S = 3_600.0
"""A wait until a time that lies further off is cut, because a key or an operator may change things earlier."""


async def for_model(parts: Parts, project: Project, agent_id: str, exc: NothingAvailableError) -> WaitError:
    """Nothing can serve now. With keys there: until the time named, or a while. Without any: until there are some."""
    if exc.available_at is None and not can_serve(parts.config, await parts.store.keys.usable()):
        return WaitError("keys", exc.message, agent_id=agent_id)
    now = parts.clock.now()
    if exc.available_at is not None and exc.available_at > now:
        wake_at = min(exc.available_at, now + timedelta(seconds=LONGEST_S))
    else:
        wake_at = now + timedelta(seconds=await _back_off_s(parts, project.id))
    return WaitError("model", exc.message, wake_at=wake_at, agent_id=agent_id)


async def for_server(parts: Parts, project: Project, agent_id: str, exc: ModelError) -> WaitError:
    """The model server is down or broke: a while, longer each time."""
    wake_at = parts.clock.now() + timedelta(seconds=await _back_off_s(parts, project.id))
    return WaitError("model", exc.message, wake_at=wake_at, agent_id=agent_id)


async def _back_off_s(parts: Parts, project_id: str) -> float:
    name = _note(project_id)
    tried = await parts.store.notes.get(name)
    number = tried if isinstance(tried, int) else 0
    await parts.store.notes.put(name, number + 1)
    return BACK_OFF_S[min(number, len(BACK_OFF_S) - 1)]


async def over(parts: Parts, project_id: str) -> None:
    """An answer came: the next wait starts short again."""
    if await parts.store.notes.get(_note(project_id)) is not None:
        await parts.store.notes.delete(_note(project_id))


def _note(project_id: str) -> str:
    return f"pipeline.waits.{project_id}"
