"""What must be true of the town after all the killing. Each check gives the lines of what is wrong; none is the only good answer."""

import collections
import re
import subprocess

from killing.life import CRITICAL, Ledger
from killing.town import Town

from executor_tui.core.changes.receipts import check_store
from executor_tui.core.recovery.last_state import decode
from executor_tui.domain.alert import DeliveryStatus
from executor_tui.domain.approval import ApprovalStatus
from executor_tui.domain.call import Call, CallStatus
from executor_tui.domain.project import ProjectStatus
from executor_tui.domain.recovery import OutageKind

_MARKER = re.compile(r"marker-\d{5}\.")
_CRITICAL_AT_PROVIDERS = ("claude-opus-4-5", "anthropic/claude-opus-4.5")


async def settled(town: Town) -> list[str]:
    """What the installation is still at."""
    store = town.store
    open_projects = [f"project {p.id} is {p.status} ({p.detail})" for p in await store.projects.list() if not p.status.final]
    open_changes = [f"change {c.id} is {c.status} ({c.detail})" for c in await store.changes.list() if not c.status.final]
    waiting = [f"approval {a.id} waits" for a in await store.approvals.pending()]
    unsent = [f"{d.channel} has not got {d.alert_id}" for d in await store.deliveries.in_status(DeliveryStatus.PENDING)]
    unread = [f"{len(town.telegram.unconfirmed)} updates of Telegram are unread"] if town.telegram.unconfirmed else []
    calls = [f"call {c.id} is in flight" for c in await store.calls.list() if c.status is CallStatus.IN_FLIGHT]
    return [*open_projects, *open_changes, *waiting, *unsent, *unread, *calls]


async def wrong(town: Town, ledger: Ledger, kills: int) -> list[str]:
    """Everything that is not as it should be."""
    found = await settled(town)
    for check in (_calls, _consent, _approvals, _changes, _projects):
        found += await check(town, ledger)
    return [*found, *await _reports(town, kills), *await _leftovers(town)]


async def _calls(town: Town, ledger: Ledger) -> list[str]:
    """Answers that came are on record at their price, or as lost with no less than that counted; no request reached a model twice, and
    every one that did is on record."""
    rows = {c.id: c for c in await town.store.calls.list() if c.token_id == ledger.token_id}
    found = []
    for marker, (call_id, cost_usd, model) in ledger.calls.items():
        row = rows.get(call_id)
        if not _counted(row, cost_usd, model):
            found.append(f"{marker} was answered and is on record as {row}")
    served = collections.Counter(m for m, _ in _requests(town, "ok"))
    found += [f"{marker} was served {n} times" for marker, n in served.items() if n > 1]
    found += [f"{marker} was answered and served by nobody" for marker in ledger.calls if not served[marker]]
    if len({m for m, _ in _requests(town)}) > len(rows):
        found.append(f"{len({m for m, _ in _requests(town)})} requests reached a model, {len(rows)} are on record")
    key = await town.store.tokens.get(ledger.token_id)
    counted = sum(c.cost_usd for c in rows.values() if c.status not in (CallStatus.LOST, CallStatus.IN_FLIGHT))
    if abs(key.spent_usd - counted) > 1e-6:
        found.append(f"the virtual key counts ${key.spent_usd:.6f}, its calls ${counted:.6f}")
    return found


def _counted(row: Call | None, cost_usd: float, model: str) -> bool:
    """A settlement is written within 50 ms of the answer; a gateway that dies in these leaves the call's estimate counted."""
    if row is None or row.model_id != model:
        return False
    if row.status is CallStatus.LOST:
        return row.estimate_usd >= cost_usd - 1e-9
    return row.status is CallStatus.OK and abs(row.cost_usd - cost_usd) < 1e-7


async def _consent(town: Town, ledger: Ledger) -> list[str]:
    """A request reached the critical model only with a yes of its own."""
    yes = collections.Counter(
        match.group() for a in await town.store.approvals.list() if a.status is ApprovalStatus.APPROVED and (match := _MARKER.search(a.why))
    )
    reached = collections.Counter(m for m, model in _requests(town) if model in _CRITICAL_AT_PROVIDERS)
    return [f"{marker} reached {CRITICAL} {n} times with {yes[marker]} consents" for marker, n in reached.items() if n > yes[marker]]


async def _approvals(town: Town, ledger: Ledger) -> list[str]:
    """Each was decided once, by the person, as the person said; withdrawn ones belong to changes that ended."""
    found = []
    for a in await town.store.approvals.list():
        if a.status is ApprovalStatus.CANCELLED:
            continue
        said = ledger.pressed.get(a.id)
        if said is None or (a.status is ApprovalStatus.APPROVED) is not said or a.decided_via != "telegram":
            found.append(f"approval {a.id} is {a.status} by {a.decided_by} via {a.decided_via}; the person said {said}")
    decided = collections.Counter(e.subject_id for e in await town.store.events.tail(100_000, kinds=("approval.decided",)))
    return [*found, *(f"approval {i} was decided {n} times" for i, n in decided.items() if n > 1)]


async def _changes(town: Town, ledger: Ledger) -> list[str]:
    """Every change asked for is there and has ended; the machine was told each thing once."""
    changes = {c.id: c for c in await town.store.changes.list()}
    found = [f"change {i} was acknowledged and is not there" for i in ledger.changes if i not in changes]
    found += [f"change {c.id} failed: {c.detail}" for c in changes.values() if c.status == "failed"]
    done = {
        kind: [c for c in changes.values() if c.status == "done" and c.operations[0]["op"] == kind] for kind in ("lxc.create", "lxc.delete")
    }
    tasks = collections.Counter(str(task["type"]) for task in town.pve.tasklog)
    for kind, task in (("lxc.create", "vzcreate"), ("lxc.delete", "vzdestroy")):
        undone = sum(c.status == "rolled_back" for c in changes.values()) if kind == "lxc.create" else 0
        if not len(done[kind]) <= tasks[task] <= len(done[kind]) + undone:
            found.append(f"{len(done[kind])} × {kind} done, {tasks[task]} × {task} at the machine")
    made = collections.Counter(str(c.operations[0]["vmid"]) for c in done["lxc.create"])
    gone = collections.Counter(str(c.operations[0]["container"]) for c in done["lxc.delete"])
    there = sorted(str(ct.vmid) for ct in town.pve.cts)
    if there != sorted((made - gone).elements()):
        found.append(f"containers {there}; made {dict(made)}, deleted {dict(gone)}")
    return [*found, *(str(fault) for fault in (await check_store(town.store)).faults)]


async def _projects(town: Town, ledger: Ledger) -> list[str]:
    """None lost, none doubled, all delivered, no step committed twice."""
    projects = await town.store.projects.list()
    ids = {p.id for p in projects}
    found = [f"project {i} was acknowledged and is not there" for i in ledger.projects if i not in ids]
    phoned = [p for p in projects if "Telegram" in p.created_by]
    if len(phoned) != ledger.asked_by_phone:
        found.append(f"{ledger.asked_by_phone} projects were asked for over the phone, {len(phoned)} are there")
    for p in projects:
        if p.status is not ProjectStatus.DELIVERED:
            found.append(f"project {p.id} is {p.status}: {p.detail}")
            continue
        words = ["git", "-c", "safe.directory=*", "log", "--format=%(trailers:key=Executor-Step,valueonly)"]
        subjects = subprocess.run(words, cwd=p.repo_path, capture_output=True, text=True, check=True).stdout.split()
        found += [f"project {p.id}: step {s} was committed {n} times" for s, n in collections.Counter(subjects).items() if n > 1]
        steps = await town.store.steps.of(p.id)
        found += [f"project {p.id} has two steps {n}" for n, c in collections.Counter(s.seq for s in steps).items() if c > 1]
    return found


async def _reports(town: Town, kills: int) -> list[str]:
    """One report per outage; each was told once on each channel, or a second time with a word that it may be the second."""
    reports = [r for r in await town.store.reports.list() if r.kind is not OutageKind.SCAN]
    found = [f"report {r.id} tells of a {r.kind}" for r in reports if r.kind is not OutageKind.CRASH]
    if len(reports) > kills:
        found.append(f"{len(reports)} reports of {kills} kills of the node")
    alerts = {a.dedupe_key: a for a in await town.store.alerts.list()}
    for r in reports:
        alert = alerts.get(f"recovery:{r.id}")
        if alert is None:
            found.append(f"report {r.id} was never raised")
            continue
        for name, texts in (("telegram", [m.text for m in town.telegram.messages]), ("discord", [m.text for m in town.discord.messages])):
            told = [t for t in texts if alert.id in t]
            if not told or any("second time" not in t for t in told[1:]):
                found.append(f"report {r.id} was told {len(told)} times on {name}")
    state = decode(town.places.last_state_file.read_bytes())
    if state.unreported is not None:
        found.append(f"outage {state.unreported.report_id} is not reported yet")
    return found


async def _leftovers(town: Town) -> list[str]:
    dead = [f"{d.channel} refused {d.alert_id}: {d.error}" for d in await town.store.deliveries.in_status(DeliveryStatus.DEAD)]
    agents = [f"agent {a.id} is {a.state} with nothing to do" for a in await town.store.agents.list() if a.state == "busy"]
    files = [*town.places.state_dir.glob(".last_state.json.*"), *(town.places.state_dir / "backups").glob(".*.part*")]
    return [*dead, *agents, *(f"{path.name} was left behind" for path in files)]


def _requests(town: Town, outcome: str = "") -> list[tuple[str, str]]:
    """(marker, model) of every request of the programs that reached a provider."""
    out = []
    for r in town.world.upstreams.recording.requests():
        match = _MARKER.search(str(r.body.get("messages", "")))
        if match and outcome in ("", r.outcome):
            out.append((match.group(), r.model))
    return out
