"""Telegram, the other way: presses and words of the operator become decisions, answers and projects in the store.

Only the chat and the users on the allow-list are obeyed; that is checked for every update before anything of it is read. An update is
confirmed to Telegram after what it asked for is on disk, so one may be handled twice: decisions and answers are first-wins, and a project
gets its id from the update.
"""

import hashlib
import logging
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram import CallbackQuery, Update, User
from telegram import Message as TelegramMessage
from telegram.error import Conflict, TelegramError

from executor_tui.config.general import ProjectSettings
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind, ApprovalScope, ApprovalStatus, Decision
from executor_tui.domain.crash import crash_point
from executor_tui.domain.errors import ExecutorError, StoreError
from executor_tui.domain.event import Event, Level
from executor_tui.domain.ids import new_id
from executor_tui.domain.project import Project, Where
from executor_tui.notify.answers import HELP, overview
from executor_tui.notify.base import AwayError, ChannelError, ClosedError, RefusedError
from executor_tui.notify.telegram import TelegramChannel
from executor_tui.notify.words import one_line
from executor_tui.store.store import Store

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
ANOTHER_POLLER_WAIT_S = 15.0
VIA = "telegram"
_ASKED_FOR_WORD = re.compile(r"approve ([\w.:-]+), answer this message with the word")
_WIDER = re.compile(r"([pm])(\d{1,6}(?:\.\d{1,2})?)")
Report = Callable[[Alert], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the inbox works with. `report` raises an alert; `projects` gives the settings of new projects."""

    store: Store
    report: Report
    projects: Callable[[], ProjectSettings]
    rng: Callable[[], float] = random.random


class TelegramInbox:
    """`run()` until cancelled. Ends by itself when the token is not accepted."""

    def __init__(self, channel: TelegramChannel, desk: Desk) -> None:
        self._channel, self._desk, self._store = channel, desk, desk.store
        self._failures, self._said = 0, ""

    async def run(self) -> None:
        """Long polling: fetch, handle, and only then confirm by asking for what comes after."""
        offset: int | None = None
        while True:
            try:
                updates = await self._channel.updates(offset)
                self._failures = 0
                await self._say("")
                for update in updates:
                    await self.handle(update)
                    offset = update.update_id + 1
            except ClosedError as exc:
                await self._say(f"Telegram answers are off: {exc.reason}")
                return
            except Conflict:
                await self._say(
                    "another program reads this bot's messages, so presses may not arrive here; stop it, or use a bot of its own"
                )
                await self._store.clock.sleep(ANOTHER_POLLER_WAIT_S)
            except (ChannelError, TelegramError, StoreError) as exc:
                await self._wait(exc)

    async def handle(self, update: Update) -> None:
        """One update. Whatever is wrong with it is answered in the chat, or logged; it is never a reason to stop."""
        user, chat = update.effective_user, update.effective_chat
        message = update.message
        if message is not None and message.migrate_to_chat_id is not None and str(message.chat_id) == await self._channel.chat_id():
            await self._channel.moved(message.migrate_to_chat_id)
            return
        if user is None or chat is None or not await self._allowed(user.id, str(chat.id), chat.username):
            await self._stranger(update)
            return
        try:
            if update.callback_query is not None:
                await self._press(update.callback_query, user)
            elif message is not None and message.text:
                await self._words(update.update_id, message, message.text, user)
        except RefusedError as exc:
            log.warning("an answer to Telegram update %s was refused: %s", update.update_id, exc.reason)
        except ExecutorError as exc:
            text = exc.message + (f"\n{exc.hint}" if exc.hint else "")
            if isinstance(exc, StoreError):
                raise
            if update.callback_query is not None:
                await self._channel.answer_press(update.callback_query.id, text)
            else:
                await self._channel.say(text)

    async def _allowed(self, user_id: int, chat_id: str, chat_name: str | None) -> bool:
        wanted = await self._channel.chat_id()
        in_chat = chat_id == wanted or (chat_name is not None and wanted == f"@{chat_name}")
        users = self._channel.settings.users
        return in_chat and (user_id in users if users else str(user_id) == wanted)

    async def _stranger(self, update: Update) -> None:
        """Nothing is done and nothing is said in the chat; the operator hears of each stranger once."""
        user = update.effective_user
        if update.callback_query is not None:
            await self._channel.answer_press(update.callback_query.id, "This bot obeys its owner only.")
        if user is None or user.is_bot or update.my_chat_member is not None:
            return
        name = one_line(user.full_name or user.username or "", 60)
        title = f"A stranger wrote to the Telegram bot and was refused: {name} (user {user.id})"
        body = "If this is you, add the id to telegram.users in notification.json."
        alert = Alert(new_id("alr"), f"telegram.stranger:{user.id}", Severity.WARNING, title, body, "strangers refused on Telegram")
        await self._desk.report(alert)

    # -- presses ---------------------------------------------------------------------------------------------------------------

    async def _press(self, press: CallbackQuery, user: User) -> None:
        what, _, rest = (press.data or "").partition(":")
        decision = _decision(what, _name(user))
        if decision is not None and rest:
            await self._decide_by_press(press, decision, rest)
        elif what == "q" and rest:
            question_id, _, number = rest.rpartition(":")
            question = await self._store.questions.get(question_id)
            if not number.isdigit() or int(number) >= len(question.options):
                await self._channel.answer_press(press.id, "that answer is no longer offered")
                return
            await self._store.questions.answer(question_id, question.options[int(number)], _name(user))
            crash_point("telegram.answered")
            await self._channel.answer_press(press.id, "Answered.")
        else:
            await self._channel.answer_press(press.id, "this button is not one of ours")

    async def _decide_by_press(self, press: CallbackQuery, decision: Decision, approval_id: str) -> None:
        approval = await self._store.approvals.get(approval_id)
        if decision.scope is not ApprovalScope.ONCE and approval.kind is not ApprovalKind.CRITICAL_MODEL:
            await self._channel.answer_press(press.id, "this button is not one of ours")
            return
        if decision.approved and approval.word and approval.status is ApprovalStatus.PENDING:
            await self._channel.answer_press(press.id, "This cannot be undone: type the word to go on.")
            await self._channel.say(
                f"{approval.subject}\nThis cannot be undone. To approve {approval.id}, answer this message with the word: {approval.word}"
            )
            return
        await self._channel.answer_press(press.id, await self._decide(approval, decision))

    async def _decide(self, approval: Approval, decision: Decision) -> str:
        await self._store.approvals.decide(approval.id, decision)
        crash_point("telegram.decided")
        return f"{'Approved' if decision.approved else 'Denied'}{_reach(decision)}: {approval.subject}"

    # -- words -----------------------------------------------------------------------------------------------------------------

    async def _words(self, update_id: int, message: TelegramMessage, text: str, user: User) -> None:
        asked = message.reply_to_message
        if asked is not None and asked.from_user is not None and asked.from_user.id == await self._channel.bot_id():
            found = _ASKED_FOR_WORD.search(asked.text or "")
            if found is not None:
                await self._confirm(found.group(1), text.strip(), user)
                return
        command, _, rest = text.strip().partition(" ")
        name = command.split("@", 1)[0].lower()
        rest = rest.strip()
        if name == "/new":
            await self._new_project(update_id, rest, user)
        elif name == "/answer":
            await self._answer(rest, user)
        elif name == "/confirm":
            approval_id, _, word = rest.partition(" ")
            await self._confirm(approval_id, word.strip(), user)
        elif name in ("/fleet", "/keys", "/projects", "/approvals", "/recovery"):
            await self._channel.say(await overview(self._store, name[1:]))
        else:
            await self._channel.say(HELP)

    async def _confirm(self, approval_id: str, word: str, user: User) -> None:
        approval = await self._store.approvals.get(approval_id)
        if word != approval.word:
            await self._channel.say(f"That is not the word for {approval.id}; nothing was approved.")
            return
        await self._channel.say(await self._decide(approval, Decision(True, _name(user), VIA)))

    async def _answer(self, rest: str, user: User) -> None:
        question_id, _, text = rest.partition(" ")
        if not question_id or not text.strip():
            await self._channel.say("Like this: /answer ID your words")
            return
        await self._store.questions.answer(question_id, text.strip(), _name(user))
        crash_point("telegram.answered")
        await self._channel.say("Answered.")

    async def _new_project(self, update_id: int, goal: str, user: User) -> None:
        if not goal:
            await self._channel.say("Like this: /new a command line tool that …")
            return
        project_id = await self._project_id(update_id)
        if await self._store.projects.find(project_id) is None:
            given = self._desk.projects()
            await self._store.projects.create(
                Project(
                    project_id,
                    goal,
                    max_rounds=given.max_rounds,
                    budget_usd=given.budget_usd,
                    where=Where(given.where),
                    created_by=_name(user),
                )
            )
            crash_point("telegram.created")
        await self._channel.say(f"Queued as {project_id}. Its end will be told here; look at it with /projects")

    async def _project_id(self, update_id: int) -> str:
        """The same id for the same update, so that one handled twice makes one project."""
        seed = hashlib.sha256(f"telegram:{await self._channel.bot_id()}:{update_id}".encode()).hexdigest()
        return new_id("prj", random.Random(seed).randrange)  # noqa: S311 - a stable id, not a secret

    # -- when the network is away ----------------------------------------------------------------------------------------------

    async def _wait(self, exc: Exception) -> None:
        self._failures += 1
        if self._failures == 3:
            reason = exc.reason if isinstance(exc, ChannelError) else type(exc).__name__
            await self._say(f"Telegram answers are delayed: {reason}")
        after = exc.retry_after_s if isinstance(exc, AwayError) else None
        backed_off = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self._failures - 1, 10)) * (0.5 + self._desk.rng() / 2)
        await self._store.clock.sleep(after if after is not None else backed_off)

    async def _say(self, words: str) -> None:
        """One event when it changes."""
        if words == self._said:
            return
        self._said = words
        self._store.events.emit(Event("telegram.inbox", words or "Telegram answers arrive again", Level.WARNING if words else Level.INFO))


def _decision(what: str, by: str) -> Decision | None:
    """What a button's data say of an approval: a once, d no, pX the project up to X dollars, mX everything for X minutes; else None."""
    if what in ("a", "d"):
        return Decision(what == "a", by, VIA)
    found = _WIDER.fullmatch(what)
    if found is None or float(found[2]) <= 0:
        return None
    amount = float(found[2])
    if found[1] == "p":
        return Decision(True, by, VIA, ApprovalScope.PROJECT, limit_usd=amount)
    return Decision(True, by, VIA, ApprovalScope.MINUTES, minutes=amount)


def _reach(decision: Decision) -> str:
    if decision.limit_usd is not None:
        return f" for the project up to ${decision.limit_usd:.2f}"
    return f" for {decision.minutes:g} minutes" if decision.minutes is not None else ""


def _name(user: User) -> str:
    return f"{one_line(user.username or user.full_name or 'someone', 40)} (Telegram {user.id})"
