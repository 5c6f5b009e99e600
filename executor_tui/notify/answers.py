"""What the bot says to /fleet, /keys, /projects, /approvals and /recovery: the store in a few plain lines."""

from collections import Counter
from collections.abc import Awaitable, Callable

from executor_tui.domain.project import ProjectStatus
from executor_tui.notify.words import one_line
from executor_tui.store.store import Store

SHOWN = 25
HELP = """I tell you what needs you, and do what you say:
/fleet – the agents
/keys – keys and what is parked
/projects – what is being built
/approvals – what waits for your consent
/recovery – the last outage
/new GOAL – a new project
/answer ID TEXT – answer a question
/confirm ID WORD – approve what cannot be undone"""


async def overview(store: Store, name: str) -> str:
    """One of the five overviews; HELP for any other name."""
    known: dict[str, Callable[[Store], Awaitable[str]]] = {
        "fleet": _fleet, "keys": _keys, "projects": _projects, "approvals": _approvals, "recovery": _recovery,
    }  # fmt: skip
    return await known[name](store) if name in known else HELP


async def _fleet(store: Store) -> str:
    agents = sorted(await store.agents.list(), key=lambda a: (a.state in ("online", "busy"), a.id))
    counts = Counter(str(a.state) for a in agents)
    head = ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "no agents"
    return _told(head, [f"{a.id}: {a.state}{_dash(a.task or a.reason)}" for a in agents])


async def _keys(store: Store) -> str:
    keys, parks = await store.keys.list(), await store.parks.open()
    lines = [f"{k.id}: {k.provider} …{k.tail} {k.state}, ${k.cost_usd:.2f}" for k in keys]
    now = store.clock.now()
    for park in parks:
        left = f"{(park.ends_at - now).total_seconds() / 60:.0f} min left" if park.ends_at else "until cleared"
        lines.append(f"parked: {park.pool_id or park.key_id} {park.model_id} ({park.reason}), {left}")
    return _told(f"{len(keys)} keys, {len(parks)} parks", lines)


async def _projects(store: Store) -> str:
    projects = await store.projects.list()
    at_work = sum(not p.status.final for p in projects)
    words = {ProjectStatus.RUNNING: "at work", ProjectStatus.ASKING: "asks you"}
    lines = [
        f"{p.id}: {words.get(p.status, p.status)} ({p.stage}, round {p.round}, ${p.cost_usd:.2f}) {one_line(p.goal, 80)}" for p in projects
    ]
    for question in await store.questions.open():
        lines.insert(0, f"asks: {one_line(question.text, 200)} → /answer {question.id} …")
    return _told(f"{at_work} projects at work, {len(projects)} in all", lines)


async def _approvals(store: Store) -> str:
    waiting = await store.approvals.pending()
    lines = []
    for approval in waiting:
        until = f", until {approval.expires_at:%H:%M:%S} UTC" if approval.expires_at else ""
        lines.append(f"{approval.id}: {one_line(approval.subject)} (${approval.estimate_usd:.4f}{until})")
    return _told(f"{len(waiting)} approvals wait for you" if waiting else "nothing waits for your consent", lines)


async def _recovery(store: Store) -> str:
    report = await store.reports.last()
    if report is None:
        return "no outage has been reported"
    return _told(f"{report.summary} ({report.up_at:%Y-%m-%d %H:%M} UTC)", [f"to do: {line}" for line in report.todo])


def _told(head: str, lines: list[str]) -> str:
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([head, *lines[:SHOWN], *more])


def _dash(text: str) -> str:
    return f" – {one_line(text, 100)}" if text else ""
