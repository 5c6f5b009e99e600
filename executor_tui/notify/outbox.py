"""The outbox: empties each channel's queue in order, at least once, until the channel has taken every message or refused it for good.

An attempt is recorded before it is made. When a try was cut short (the process died, the answer did not come) the message goes out again,
says that it may be the second, and carries the same reference: a channel without idempotency keys can do no better.

The network being away is the channel's trouble, not the message's: the channel backs off, the queue keeps its order, and no message dies
of it.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from executor_tui.domain.alert import Alert, Delivery, DeliveryStatus
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.notify.base import AwayError, Channel, ClosedError, Message, RefusedError
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
_TOPICS = frozenset({"alerts", "approvals", "questions"})
_CLOCK_WENT_BACK = timedelta(minutes=1)
Queued = tuple[Delivery, Alert]


@dataclass
class _Line:
    """What is known of one channel."""

    channel: Channel
    failures: int = 0
    ready_at_s: float = float("-inf")
    closed: str = ""
    said: str = "?"
    """What was last said of it: "", "away" or "closed"; "?" before anything is known of it."""


class Outbox:
    """`run()` until cancelled; or `step(name)` to send what is due now. `rng` gives numbers in [0, 1) for the jitter."""

    def __init__(
        self, store: Store, channels: Sequence[Channel], *, coalesce_s: float = 5.0, rng: Callable[[], float] = random.random
    ) -> None:
        self._store, self._clock, self._rng = store, store.clock, rng
        self._coalesce = timedelta(seconds=coalesce_s)
        self._lines = {channel.name: _Line(channel) for channel in channels}
        self._changed = {name: asyncio.Event() for name in self._lines}

    async def run(self) -> None:
        """Send as alerts come and edit what has been decided."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="outbox-feed")
            for name in self._lines:
                group.create_task(self._run(name), name=f"outbox-{name}")

    async def _follow(self) -> None:
        async for topics in self._store.feed():
            if topics & _TOPICS:
                for changed in self._changed.values():
                    changed.set()

    async def _run(self, name: str) -> None:
        while True:
            self._changed[name].clear()
            try:
                wait_s = await self.step(name)
            except StoreError as exc:
                log.error("outbox %s: %s", name, exc.message)
                wait_s = FIRST_WAIT_S
            if wait_s != 0:
                await self._wait(name, wait_s)

    async def _wait(self, name: str, wait_s: float | None) -> None:
        """Until something changed in the store, or the time is over."""
        waits: list[asyncio.Future[object]] = [asyncio.ensure_future(self._changed[name].wait())]
        if wait_s is not None:
            waits.append(asyncio.ensure_future(self._clock.sleep(wait_s)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def step(self, name: str) -> float | None:
        """Do the next thing of a channel. Seconds until there is another to do: 0 at once, None when only a change can bring one."""
        line = self._lines[name]
        if line.closed:
            return None
        wait_s = line.ready_at_s - self._clock.monotonic_s()
        if wait_s > 0:
            return wait_s
        try:
            settled = await self._settle(line)
            batch, wait = self._next(await self._store.deliveries.queue(name))
            if batch:
                await self._send(line, batch)
                return 0
            return 0 if settled else wait
        except AwayError as exc:
            return await self._back_off(line, exc)
        except ClosedError as exc:
            await self._close(line, exc)
            return None

    def _next(self, queue: Sequence[Queued]) -> tuple[list[Queued], float | None]:
        """The deliveries of the next message, or how long until there are some."""
        if not queue:
            return [], None
        now = self._clock.now()
        delivery, alert = queue[0]
        due = delivery.next_at or now
        if due > now and not (alert.created_at is not None and alert.created_at > now + _CLOCK_WENT_BACK):
            return [], (due - now).total_seconds()
        return [queue[0], *(_companions(queue[1:], alert, now + self._coalesce) if alert.group else ())], None

    async def _send(self, line: _Line, batch: Sequence[Queued]) -> None:
        ids = [delivery.id for delivery, _ in batch]
        if len(batch) == 1 and await self._no_longer_asks(batch[0]):
            await self._store.deliveries.update_all(ids, status=DeliveryStatus.SKIPPED, error="decided before it could be sent")
            return
        repeated = any(delivery.attempts > 0 and not delivery.error for delivery, _ in batch)
        message = Message(tuple(alert for _, alert in batch), repeated)
        await self._store.deliveries.attempt(ids)
        crash_point("outbox.intent")
        try:
            remote_id = await line.channel.send(message)
        except RefusedError as exc:
            words = f"{line.channel.name} will not take {message.title!r}: {exc.reason}"
            event = Event("alert.dead", words, Level.ERROR, subject_id=message.reference, data={"channel": line.channel.name})
            await self._store.deliveries.update_all(ids, event, status=DeliveryStatus.DEAD, error=exc.reason)
            return
        except (AwayError, ClosedError) as exc:
            unsure = isinstance(exc, AwayError) and exc.maybe_sent
            await self._store.deliveries.update_all(ids, error="" if unsure else exc.reason)
            raise
        crash_point("outbox.sent")
        await self._store.deliveries.update_all(
            ids, status=DeliveryStatus.SENT, sent_at=self._clock.now(), remote_id=remote_id, error=""
        )  # fmt: skip
        crash_point("outbox.recorded")
        await self._well(line)

    async def _no_longer_asks(self, queued: Queued) -> bool:
        """Held back by quiet hours or a dead network until it was decided: asking now would only confuse."""
        return bool(await self._outcome(queued[1]))

    async def _settle(self, line: _Line) -> bool:
        """Edit messages whose question has been decided; says whether there were any."""
        done = False
        for delivery, alert in await self._store.deliveries.asking(line.channel.name):
            outcome = await self._outcome(alert)
            if not outcome:
                continue
            done = True
            try:
                await line.channel.settle(delivery.remote_id, Message((alert,)), outcome)
            except RefusedError as exc:
                log.info("message %s on %s could not be edited: %s", delivery.remote_id, line.channel.name, exc.reason)
            await self._store.deliveries.update(delivery.id, settled_at=self._clock.now())
        return done

    async def _outcome(self, alert: Alert) -> str:
        """How what this alert asks for was decided; empty while it waits, or when it asks for nothing."""
        if "approval" in alert.data:
            approval = await self._store.approvals.find(str(alert.data["approval"]))
            if approval is None or approval.status is ApprovalStatus.PENDING:
                return ""
            via = f" via {approval.decided_via}" if approval.decided_via else ""
            when = f" at {approval.decided_at:%H:%M:%S} UTC" if approval.decided_at else ""
            return f"{str(approval.status).capitalize()} by {approval.decided_by or 'nobody'}{via}{when}"
        if "question" in alert.data:
            question = await self._store.questions.find(str(alert.data["question"]))
            return f"Answered by {question.answered_by}: {question.answer}" if question and question.answered_at else ""
        return ""

    async def _back_off(self, line: _Line, exc: AwayError) -> float:
        line.failures += 1
        if exc.retry_after_s is not None:
            wait_s = exc.retry_after_s * (1 + self._rng() / 10)
        else:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(line.failures - 1, 16)) * (0.5 + self._rng() / 2)
        line.ready_at_s = self._clock.monotonic_s() + wait_s
        await self._say(line, "away", exc.reason, Level.WARNING)
        return wait_s

    async def _close(self, line: _Line, exc: ClosedError) -> None:
        line.closed = exc.reason
        await self._say(line, "closed", exc.reason, Level.ERROR)

    async def _well(self, line: _Line) -> None:
        line.failures, line.ready_at_s = 0, float("-inf")
        if line.said == "?":
            before = await self._store.notes.get(f"channel.{line.channel.name}")
            line.said = str(before.get("state", "")) if isinstance(before, Mapping) and before.get("state") != "open" else ""
        if line.said:
            await self._say(line, "open", "", Level.INFO)

    async def _say(self, line: _Line, state: str, reason: str, level: Level) -> None:
        """Tell of a channel's state when it changes, not at every try."""
        said = "" if state == "open" else state
        if line.said == said:
            return
        line.said = said
        name = line.channel.name
        words = {"away": f"{name} cannot be reached; alerts wait: {reason}", "closed": f"{name} is switched off: {reason}"}
        await self._store.notes.put(f"channel.{name}", {"state": state, "reason": reason})
        await self._store.events.add(Event(f"channel.{state}", words.get(state, f"{name} takes messages again"), level, subject_id=name))


def _companions(queue: Iterable[Queued], first: Alert, until: datetime) -> list[Queued]:
    """Others of the same group that are due by `until`: they travel with the first."""
    return [(d, a) for d, a in queue if a.group == first.group and (d.next_at is None or d.next_at <= until)]
