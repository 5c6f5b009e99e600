"""The recovery report: from what was found and done to one row, and from the row to lines a person reads. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from executor_tui.core.recovery.last_state import Unreported
from executor_tui.domain.recovery import OutageKind, RecoveryReport

RESUMED, FINISHED, ROLLED_BACK, NEEDS_YOU = "resumed", "finished", "rolled back", "needs you"
WAITING, EXPIRED, LOST, QUARANTINED, QUEUED = "waiting", "expired", "lost", "quarantined", "queued"

UNKNOWN = "unknown"

KIND_WORDS = {
    OutageKind.CRASH: "Crash", OutageKind.REBOOT: "Reboot", OutageKind.POWER_LOSS: "Power loss", OutageKind.SCAN: "Scan on request",
    OutageKind.CLEAN_STOP: "Clean stop", OutageKind.FIRST_START: "First start",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AgentThen:
    """One agent before and after."""

    id: str
    name: str
    before: str
    after: str
    reason: str = ""

    @property
    def back(self) -> bool:
        return self.after in ("online", "busy", "waiting")


@dataclass(frozen=True, slots=True)
class WorkThen:
    """One project, change, approval or batch of calls, and what became of it."""

    id: str
    kind: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything a report is made of."""

    agents: Sequence[AgentThen] = ()
    work: Sequence[WorkThen] = ()
    in_flight_usd: float = 0.0
    moments: Sequence[Moment] = ()


def build(node_id: str, outage: Unreported, found: Findings, now: datetime) -> RecoveryReport:
    """The report's row."""
    downtime_s = (outage.up_at - outage.down_from).total_seconds() if outage.down_from else 0.0
    moments = [Moment(outage.down_from, "last sign of life")] if outage.down_from else []
    moments += [Moment(outage.up_at, "started again"), *found.moments, Moment(now, "report written")]
    return RecoveryReport(
        id=outage.report_id, node_id=node_id, kind=outage.kind, sure=outage.sure, down_from=outage.down_from, up_at=outage.up_at,
        downtime_s=downtime_s, summary=_summary(outage, downtime_s, found), in_flight_usd=found.in_flight_usd,
        agents={a.id: {"name": a.name, "before": a.before, "after": a.after, "reason": a.reason} for a in found.agents},
        work=tuple({"id": w.id, "kind": w.kind, "outcome": w.outcome, "detail": w.detail} for w in found.work),
        todo=tuple(_todo(outage, found)), timeline=tuple({"at": m.at.isoformat(), "what": m.what} for m in moments), created_at=now,
    )  # fmt: skip


def _summary(outage: Unreported, downtime_s: float, found: Findings) -> str:
    sure = "" if outage.sure == "certain" else f" ({outage.sure})"
    head = f"{KIND_WORDS[outage.kind]}{sure}"
    if outage.kind is not OutageKind.SCAN:
        head += f": down {span(downtime_s)}" if outage.down_from else ": downtime unknown"
    parts = []
    if found.agents:
        unheard = sum(a.after == UNKNOWN for a in found.agents)
        back = f"{sum(a.back for a in found.agents)} of {len(found.agents)} agents back"
        parts.append(f"{unheard} of {len(found.agents)} agents not heard of yet" if unheard else back)
    counts = Counter(w.outcome for w in found.work if w.kind in ("project", "change"))
    parts += [f"{n} {outcome}" for outcome, n in sorted(counts.items())]
    return "; ".join([head, ", ".join(parts)]) if parts else head


def _todo(outage: Unreported, found: Findings) -> list[str]:
    lines = list(outage.notes)
    if outage.restarts:
        lines.append(f"the node went down {outage.restarts} more times while recovering; see the Logs screen for what came before")
    for item in found.work:
        if item.outcome == QUARANTINED:
            hint = (
                "release it with: executor recovery release " + item.id if item.kind == "project" else "look at the device, then plan again"
            )
            lines.append(f"{item.kind} {item.id} was in progress at every one of the last crashes and is not resumed; {hint}")
        elif item.outcome == NEEDS_YOU:
            lines.append(f"{item.kind} {item.id} needs you: {item.detail}")
        elif item.outcome == WAITING and item.kind == "approval":
            lines.append(f"decide {item.id} ({item.detail}): executor approvals approve {item.id}")
    if any(a.after == UNKNOWN for a in found.agents):
        lines.append("the agents were not heard of in time for this report; ask them with: executor fleet ping")
    gone = [a for a in found.agents if not a.back and a.after != UNKNOWN]
    if gone:
        names = ", ".join(f"{a.id} ({a.reason})" if a.reason else a.id for a in gone[:5])
        lines.append(f"{len(gone)} of {len(found.agents)} agents did not come back: {names}" + (" …" if len(gone) > 5 else ""))
    return lines


def lines(report: RecoveryReport, width_agents: int = 8) -> list[str]:
    """The report for a person, as plain lines: message, terminal and console show the same."""
    out = [report.summary]
    if report.down_from is not None:
        out.append(f"from {_at(report.down_from)} to {_at(report.up_at)} UTC, node {report.node_id}")
    if report.in_flight_usd:
        out.append(f"${report.in_flight_usd:.4f} of calls in flight: outcome unknown, counted as spent")
    if report.work:
        out += ["", "Work"]
        out += [_work_line(item) for item in report.work[:40]]
        out += [f"  … and {len(report.work) - 40} more"] if len(report.work) > 40 else []
    changed = [(agent_id, _mapping(then)) for agent_id, then in report.agents.items()]
    worse = [(i, a) for i, a in changed if a.get("after") not in ("online", "busy", "waiting")] or changed
    if worse:
        out += ["", "Agents"]
        out += [_agent_line(agent_id, then) for agent_id, then in worse[:width_agents]]
        out += [f"  … and {len(report.agents) - width_agents} more"] if len(report.agents) > width_agents else []
    if report.todo:
        out += ["", "To do", *(f"  - {line}" for line in report.todo[:20])]
    return out


def span(seconds: float) -> str:
    """A length of time in its two largest units: 42 s, 3 min 5 s, 2 h 13 min, 4 d 2 h."""
    whole = max(0, round(seconds))
    units = [(whole // 86_400, "d"), (whole // 3_600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((i for i, (n, _) in enumerate(units) if n), 3)
    return " ".join(f"{n} {unit}" for n, unit in units[first : first + 2] if n) or "0 s"


def _work_line(item: Mapping[str, object]) -> str:
    detail = f" — {item['detail']}" if item.get("detail") else ""
    return f"  {item.get('kind')} {item.get('id')}: {item.get('outcome')}{detail}"


def _agent_line(agent_id: str, then: Mapping[str, object]) -> str:
    reason = f" ({then['reason']})" if then.get("reason") else ""
    return f"  {agent_id}: {then.get('before')} → {then.get('after')}{reason}"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
