"""Everything the console can change, each one write to the store. The last gate of view-only mode stands here, behind the missing keys."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from executor_tui.domain.errors import ConsentError, UsageError
from executor_tui.ui.text import clean

if TYPE_CHECKING:
    from executor_tui.domain.approval import Decision
    from executor_tui.domain.event import Event
    from executor_tui.domain.project import Where
    from executor_tui.store.store import Store
    from executor_tui.ui.link import StoreLink

T = TypeVar("T")


def _event(kind: str, message: str, *, agent_id: str = "", project_id: str = "", subject_id: str = "") -> "Event":
    from executor_tui.domain.event import Event

    return Event(kind, message, agent_id=agent_id, project_id=project_id, subject_id=subject_id)


@dataclass(frozen=True, slots=True)
class Operations:
    """Each returns one line saying what was done. Raises ExecutorError; ConsentError in view-only mode."""

    link: "StoreLink"
    operator: str
    refusal: Callable[[], str]
    """Why nothing may be changed now; empty when it may."""

    async def _write(self, use: "Callable[[Store], Awaitable[T]]") -> T:
        if why_not := self.refusal():
            raise ConsentError(f"{why_not}; nothing was changed")
        return await self.link.read(use)

    async def pause(self, agent_id: str) -> str:
        return await self._set_paused(agent_id, True)

    async def resume(self, agent_id: str) -> str:
        return await self._set_paused(agent_id, False)

    async def _set_paused(self, agent_id: str, paused: bool) -> str:
        word = "paused" if paused else "resumed"

        async def use(store: "Store") -> str:
            agent = await store.agents.get(agent_id)
            event = _event(f"agent.{word}", f"{agent.name} {word} by {self.operator}", agent_id=agent_id)
            await store.agents.update(agent_id, event, paused=paused)
            return f"{agent_id} {word}"

        return await self._write(use)

    async def clear_park(self, park_id: str) -> str:
        async def use(store: "Store") -> str:
            park = await store.parks.get(park_id)
            event = _event("park.cleared", f"park of {park.pool_id} cleared by {self.operator}", subject_id=park_id)
            await store.parks.clear(park_id, self.operator, event)
            return f"{park.pool_id} is no longer parked"

        return await self._write(use)

    async def remove_key(self, key_id: str) -> str:
        async def use(store: "Store") -> str:
            key = await store.keys.get(key_id)
            await store.keys.remove(key_id, self.operator)
            return f"key …{key.tail} of {key.provider} removed"

        return await self._write(use)

    async def verify_again(self, key_id: str) -> str:
        """The gateway tests every key that is unverified."""

        async def use(store: "Store") -> str:
            from executor_tui.domain.key import KeyState

            key = await store.keys.get(key_id)
            event = _event("key.test_requested", f"test of key …{key.tail} asked for by {self.operator}", subject_id=key_id)
            await store.keys.set_state(key_id, KeyState.UNVERIFIED, "", event)
            return f"key …{key.tail} of {key.provider} is tested again"

        return await self._write(use)

    async def decide(self, approval_id: str, decision: "Decision") -> str:
        """Raises ConflictError when somebody was first."""

        async def use(store: "Store") -> str:
            done = await store.approvals.decide(approval_id, decision)
            return f"{done.status}: {clean(done.subject)}"

        return await self._write(use)

    async def answer(self, question_id: str, text: str) -> str:
        """Raises ConflictError when somebody answered before."""

        async def use(store: "Store") -> str:
            await store.questions.answer(question_id, text, self.operator)
            return "answered"

        return await self._write(use)

    async def create_project(self, goal: str, budget_usd: float | None, repo: str = "", where: "Where | None" = None) -> str:
        """Returns the new project's id."""
        if not goal.strip():
            raise UsageError("a project needs a goal: say in a sentence what it should do")

        async def use(store: "Store") -> str:
            from executor_tui.domain.ids import new_id
            from executor_tui.domain.project import Project, Where

            wanted = Project(
                new_id("prj"), goal.strip(), budget_usd=budget_usd, source_repo=repo, where=where or Where.LOCAL, created_by=self.operator,
            )  # fmt: skip
            return (await store.projects.create(wanted)).id

        return await self._write(use)

    async def ask_in_words(self, kind: str, request: str, device: str = "") -> str:
        """Record a request in words to a router (`routeros`) or a hypervisor (`proxmox`); returns the change's id.

        The node has a model propose operations for it, and what is proposed waits for a person. Raises ConfigError when there is no such
        device, or several and none is named.
        """
        config = self.link.config

        async def use(store: "Store") -> str:
            from executor_tui.agents.devices import entry_of_kind
            from executor_tui.core.changes import words

            assert config is not None
            return (await words.ask(store, entry_of_kind(config, kind, device).id, kind, request, self.operator)).id

        return await self._write(use)

    async def take_back(self, change_id: str) -> str:
        """Ask for a change to be undone: a change like any other. Raises NotFoundError, and ConflictError when nothing could undo it."""

        async def use(store: "Store") -> str:
            from executor_tui.core.changes import requests

            return f"{(await requests.take_back(store, change_id, self.operator)).id} takes {change_id} back, a change like any other"

        return await self._write(use)

    async def cancel_project(self, project_id: str) -> str:
        async def use(store: "Store") -> str:
            from executor_tui.domain.project import ProjectStatus

            project = await store.projects.get(project_id)
            event = _event("project.cancelled", f"project {project_id} cancelled by {self.operator}", project_id=project_id)
            values = {"finished_at": store.clock.now(), "detail": f"cancelled by {self.operator}"}
            unfinished = tuple(s for s in ProjectStatus if not s.final)
            if not await store.projects.move(project_id, unfinished, ProjectStatus.CANCELLED, event, **values):
                raise UsageError(f"{project_id} is already {project.status}")
            return f"{project_id} cancelled"

        return await self._write(use)
