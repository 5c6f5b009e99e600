"""What a machine must offer so that changes to it can be planned, consented to, guarded and verified: the seam below `core.changes`.

A device turns typed operations into a plan against its live state. Planning is free of effects and can be done again at any time: against a
state where everything is as wanted it gives no calls. So one function answers four questions: what will be done, whether there is
anything to do, whether it worked, and whether a machine left by a dead process stands before, after or in between.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from executor_tui.domain.errors import ExecutorError

Json = dict[str, object]
VAULT = "vault"


class PlanRefusedError(ExecutorError):
    """What is asked cannot be planned: something it names is not there, does not fit, or is not clear. Nothing was touched."""

    exit_code = 2


class RollbackError(ExecutorError):
    """A change could be neither finished nor taken back; the message says what is left."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the device. `arguments` hold no secret: where one belongs, they hold a reference to the vault.

    Calls of one `lane` are made in order; lanes do not wait for each other. `shows` says whether its effect can be read back from the
    device; a restart, say, cannot.
    """

    id: str
    what: str
    arguments: Json
    about: str
    lane: str = ""
    shows: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to reach what the operations ask for, from the state the device is in now.

    `operations` are the resolved ones: nothing in them is left open. `before` is the part of the live state that matters, normalised.
    `risks` are the keys of core/changes/risk.py. `targets` name what no other change may touch meanwhile. `undo` are the operations that
    take it back; empty when nothing can. `warnings` are lines for whoever consents.
    """

    operations: tuple[Json, ...]
    calls: tuple[Call, ...]
    diff: tuple[str, ...]
    before: Json
    risks: tuple[str, ...]
    summary: str
    targets: tuple[str, ...]
    undo: tuple[Json, ...] = ()
    warnings: tuple[str, ...] = ()
    confirm_word: str = ""
    guard: str = ""

    @property
    def nothing_to_do(self) -> bool:
        return not self.calls

    @property
    def hash(self) -> str:
        """Ties a consent to exactly this plan against exactly this state: SHA-256 over operations, calls and state."""
        calls = [[c.id, c.what, c.arguments] for c in self.calls]
        return digest_of({"operations": self.operations, "calls": calls, "before": self.before})


def plan_to_json(plan: Plan) -> Json:
    """A plan as it is kept and shown."""
    out: Json = {name: getattr(plan, name) for name in Plan.__dataclass_fields__ if name != "calls"}
    out["calls"] = [{name: getattr(call, name) for name in Call.__dataclass_fields__} for call in plan.calls]
    shaped = json.loads(json.dumps(out))
    assert isinstance(shaped, dict)
    return shaped


def plan_from_json(raw: Mapping[str, object]) -> Plan:
    """The plan that was kept."""
    values = {name: _frozen(raw[name]) for name in Plan.__dataclass_fields__ if name in raw and name != "calls"}
    rows = raw.get("calls")
    calls = tuple(Call(**row) for row in rows) if isinstance(rows, list) else ()
    return Plan(calls=calls, **values)  # type: ignore[arg-type]


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def digest_of(value: object) -> str:
    """SHA-256 over the canonical JSON of a value: sorted names, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def vaulted(ref: str) -> Json:
    """What stands for a secret in arguments and operations."""
    return {VAULT: ref}


def vault_ref(value: object) -> str:
    """The reference in such a stand-in; empty for any other value."""
    if isinstance(value, dict) and set(value) == {VAULT}:
        return str(value[VAULT])
    return ""


class Hands(Protocol):
    """What a device may use while it is at work on a change."""

    @property
    def change_id(self) -> str: ...

    @property
    def project_id(self) -> str: ...

    @property
    def agent_id(self) -> str: ...

    def say(self, line: str) -> None:
        """Show a line of progress: a task's log, what is being waited for. The text may be the device's: it is data."""
        ...

    async def secret(self, ref: str) -> str:
        """Open a secret of the vault. Raises VaultError."""
        ...

    async def secret_or_new(self, ref: str, make: Callable[[], str]) -> str:
        """The secret under this reference; made and kept first when there is none yet. Doing it again gives the same one."""
        ...


class Guarded(Protocol):
    """A device with its guard up. What is called is undone unless `commit` is reached."""

    async def call(self, call: Call) -> None:
        """Make one call; it has had its effect when this returns."""
        ...

    async def commit(self) -> None:
        """Keep what was done."""
        ...

    async def roll_back(self, done: Sequence[Call]) -> None:
        """Take back what was done; `done` are the calls that were begun, in order."""
        ...


class Device(Protocol):
    """A machine that changes are made to."""

    @property
    def id(self) -> str:
        """The agent's id; also the name of the device."""
        ...

    @property
    def kind(self) -> str: ...

    @property
    def finishes_forward(self) -> bool:
        """Whether a change that stopped half-way is finished from where it stands (True), or taken back (False)."""
        ...

    @property
    def width(self) -> int:
        """How many lanes of a plan run at once."""
        ...

    def check(self, operations: Sequence[Json]) -> tuple[Json, ...]:
        """The operations, complete and well-formed. Raises PlanRefusedError with one line a mistake. Reads nothing."""
        ...

    async def resolve(self, operations: Sequence[Json], others: Sequence[Json], hands: Hands) -> tuple[Json, ...]:
        """Decide, once, what the operations leave open: ids, nodes, addresses, keys. `others` are the resolved operations of changes that
        are not finished: what they will take is taken. Called again after a crash it finds the keys it has made."""
        ...

    async def plan(self, operations: Sequence[Json], change_id: str, done: frozenset[str] = frozenset()) -> Plan:
        """The way from the live state to what resolved operations ask for. `done` are ids of calls known to have been made, for those whose
        effect does not show. Raises PlanRefusedError, and what the driver raises."""
        ...

    def guarded(self, plan: Plan, hands: Hands) -> AbstractAsyncContextManager[Guarded]:
        """Put the guard up. Leaving the block without `commit` or `roll_back` takes everything back as well as can be."""
        ...

    async def made(self, call: Call, since: datetime) -> bool:
        """Whether a call that does not show was carried out after `since`, as far as the device can tell."""
        ...

    async def settle(self, plan: Plan, hands: Hands) -> None:
        """Wait until nothing of an earlier, interrupted attempt is still going on: a task, a guard of a connection that is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a change as somebody put it: typed operations, and who wants it and why."""

    device: str
    operations: tuple[Json, ...]
    summary: str = ""
    requested_by: str = ""
    agent_id: str = ""
    project_id: str = ""
    why: str = ""
    data: Json = field(default_factory=dict)


def with_operations(asked: Asked, operations: Sequence[Json]) -> Asked:
    """The same request for other operations."""
    return replace(asked, operations=tuple(operations))
