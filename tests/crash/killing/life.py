"""What goes on in the town while its installation is being killed: a person with a phone, programs that ask models, changes, projects.

What was acknowledged to each of them is written down; `checks` compares it with what is there afterwards.
"""

import asyncio
import contextlib
import random
import re
from dataclasses import dataclass, field

import httpx
from killing.town import DEVICE, Town

from executor_tui.agents.device import Asked
from executor_tui.agents.devices import open_device
from executor_tui.config.load import load
from executor_tui.core import virtual_keys
from executor_tui.core.changes.requests import submit
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.project import Project
from executor_tui.lab.chat.telegram import Sent
from executor_tui.lab.script.model import GOALS

_WORD = re.compile(r"answer this message with the word: (\S+)")
CRITICAL = "claude-opus-4-5"


@dataclass
class Ledger:
    """What was promised. `calls`: marker → (call id, cost in USD, model) of answers that came; `asked`: every marker that was sent."""

    asked: list[str] = field(default_factory=list)
    calls: dict[str, tuple[str, float, str]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    projects: list[str] = field(default_factory=list)
    asked_by_phone: int = 0
    pressed: dict[str, bool] = field(default_factory=dict)
    token_id: str = ""


class Life:
    """Tasks that run until `end`. Everything random comes from `rng`; `projects` is how many are asked for in all."""

    def __init__(self, town: Town, rng: random.Random, projects: int) -> None:
        self.town, self.rng, self.total_projects = town, rng, projects
        self.ledger = Ledger()
        self._ending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        key, secret = await virtual_keys.issue(self.town.store, SystemClock(), "kill-loop")
        self.ledger.token_id = key.id
        self._tasks = [
            asyncio.create_task(self._asks_models(secret), name="programs"),
            asyncio.create_task(self._asks_for_changes(), name="changes"),
            asyncio.create_task(self._asks_for_projects(), name="projects"),
            asyncio.create_task(self._answers_the_phone(), name="phone"),
        ]

    def end(self) -> None:
        """Ask for nothing new; the person goes on answering."""
        self._ending.set()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _pause(self, seconds: float) -> bool:
        """Wait, or until the end is near; says whether to go on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return not self._ending.is_set()

    async def _asks_models(self, secret: str) -> None:
        waiting: set[asyncio.Task[None]] = set()
        number = 0
        async with httpx.AsyncClient(timeout=330, trust_env=False) as client:
            while await self._pause(0.3 + self.rng.random() * 0.7):
                url = await self._gateway()
                if not url:
                    continue
                number += 1
                task = asyncio.create_task(self._one_call(client, url, secret, f"marker-{number:05d}.", critical=number % 6 == 0))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            await asyncio.gather(*waiting)

    async def _gateway(self) -> str:
        nodes = await self.town.store.nodes.list()
        return next((n.gateway_url for n in nodes if n.gateway_url), "")

    async def _one_call(self, client: httpx.AsyncClient, url: str, secret: str, marker: str, *, critical: bool) -> None:
        body = {
            "model": CRITICAL if critical else "executor/standard",
            "messages": [{"role": "user", "content": f"say something {marker}"}],
        }
        headers = {"authorization": f"Bearer {secret}", "x-executor-request-id": marker, "x-executor-why": f"the program asks {marker}"}
        self.ledger.asked.append(marker)
        try:
            answer = await client.post(f"{url}/v1/chat/completions", json=body, headers=headers)
        except httpx.HTTPError:
            return
        if answer.status_code == 200:
            said = answer.headers
            self.ledger.calls[marker] = (said["x-executor-call-id"], float(said["x-executor-cost-usd"]), said["x-executor-model"])

    async def _asks_for_changes(self) -> None:
        """A container is asked for, and some of those there are, are asked to be deleted."""
        number = 0
        while await self._pause(2.0):
            store = self.town.store
            if len([c for c in await store.changes.list() if not c.status.final]) >= 2:
                continue
            number += 1
            operation: dict[str, object] = {"op": "lxc.create", "hostname": f"box-{number}", "memory_mb": 256}
            if number % 3 == 0 and (standing := sorted(ct.vmid for ct in self.town.pve.cts if ct.status == "running")):
                operation = {"op": "lxc.delete", "container": self.rng.choice(standing)}
            with contextlib.suppress(ExecutorError):
                device = await open_device(DEVICE, store, load(self.town.places.config_dir), self.town.places)
                change = await submit(store, device, Asked(DEVICE, (operation,), requested_by="the loop"), f"chg-loop{number:04d}")
                self.ledger.changes.append(change.id)

    async def _asks_for_projects(self) -> None:
        """One at a time, every second one over the phone."""
        for number in range(self.total_projects):
            goal = GOALS[(number + 1) % len(GOALS)]
            if number % 2:
                self.ledger.asked_by_phone += 1
                await self.town.telegram.say(f"/new {goal}")
            else:
                made = await self.town.store.projects.create(Project(f"prj-loop{number}", goal, budget_usd=5.0, created_by="the loop"))
                self.ledger.projects.append(made.id)
            while len([p for p in await self.town.store.projects.list() if p.status.final]) <= number:
                await asyncio.sleep(0.5)

    async def _answers_the_phone(self) -> None:
        """Presses every button once, and types the word where one is asked for. One in five is refused."""
        seen, typed = set[tuple[str, int]](), set[int]()
        telegram = self.town.telegram
        while True:
            await telegram.wait_for(lambda s: any(_unseen(m, seen, typed) for m in s.messages), 3600)
            for message in list(telegram.messages):
                if not _unseen(message, seen, typed):
                    continue
                word = _WORD.search(message.text)
                if word:
                    typed.add(message.message_id)
                    await telegram.say(word.group(1), reply_to=message)
                else:
                    seen.add(("message", message.message_id))
                    await self._press(message)

    async def _press(self, message: Sent) -> None:
        subject = message.button("Deny").partition(":")[2]
        yes = self.ledger.pressed.setdefault(subject, self.rng.random() > 0.2)
        await self.town.telegram.press(message, message.button("Approve" if yes else "Deny"))


def _unseen(message: Sent, seen: set[tuple[str, int]], typed: set[int]) -> bool:
    asks = any(b["text"] == "Deny" for row in message.buttons for b in row) and ("message", message.message_id) not in seen
    return asks or (bool(_WORD.search(message.text)) and message.message_id not in typed)
