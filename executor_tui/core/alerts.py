"""Raising alerts: which channels hear of it, and from when. An alert is a row before it is a message; the outbox in notify/ sends it.

The alerts that more than one room may raise are made here, each with its own dedupe key, so that whoever is first raises it and the
others change nothing.
"""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from executor_tui.config.files import PLACEHOLDERS, NotificationSettings, NotifyQuiet
from executor_tui.core.recovery import report as reports
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import Approval, ApprovalKind
from executor_tui.domain.ids import new_id
from executor_tui.domain.project import Project, ProjectStatus, Question
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.store.store import Store

TELEGRAM, DISCORD = "telegram", "discord"


async def raise_alert(store: Store, settings: NotificationSettings, alert: Alert) -> bool:
    """Record an alert and what is to be delivered of it; on disk when this returns. Says whether it was new.

    A dedupe key that is already known changes nothing, so raising again after a restart is safe.
    """
    now = store.clock.now()
    wanted = channels(settings, alert.severity)
    return await store.alerts.raise_(alert, wanted, {channel: due(settings, alert, now) for channel in wanted})


def channels(settings: NotificationSettings, severity: Severity) -> tuple[str, ...]:
    """The channels that are switched on, filled in, and routed for this severity."""
    on: dict[str, bool] = {
        TELEGRAM: settings.telegram.enabled
        and settings.telegram.bot_token.get_secret_value() not in PLACEHOLDERS
        and settings.telegram.chat_id not in PLACEHOLDERS,
        DISCORD: settings.discord.enabled and settings.discord.webhook_url.get_secret_value() not in PLACEHOLDERS,
    }
    lowest = {str(name): floor for name, floor in settings.routes.items()}
    return tuple(name for name, there in on.items() if there and severity.rank >= lowest.get(name, Severity.INFO).rank)


def due(settings: NotificationSettings, alert: Alert, now: datetime) -> datetime:
    """When it may go out: now, after quiet hours, or once others of its group have had time to join it."""
    quiet = settings.quiet_hours
    if quiet is not None and alert.severity.rank < quiet.let_through.rank:
        until = quiet_until(quiet, now)
        if until is not None:
            return until
    return now + timedelta(seconds=settings.coalesce_s) if alert.group else now


def quiet_until(quiet: NotifyQuiet, now: datetime) -> datetime | None:
    """The end of the quiet hours that hold at `now`, or None outside them. An unknown time zone is taken as UTC."""
    try:
        zone = ZoneInfo(quiet.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    local = now.astimezone(zone)
    clock = local.time().replace(tzinfo=None)
    inside = start <= clock < end if start <= end else clock >= start or clock < end
    if not inside or start == end:
        return None
    day = local.date() if clock < end else local.date() + timedelta(days=1)
    return datetime.combine(day, end, zone).astimezone(now.tzinfo)


def approval_alert(approval: Approval) -> Alert:
    """Asks for consent with the facts a person needs: who, what, what it costs or changes, until when, what happens on no."""
    facts = [f"{approval.agent_id or 'someone'} asks: {approval.why}" if approval.why else f"asked by {approval.agent_id or 'a client'}"]
    if approval.project_id:
        facts.append(f"project {approval.project_id}")
    if approval.kind is ApprovalKind.CRITICAL_MODEL:
        facts.append(f"model {approval.model_id}, estimated ${approval.estimate_usd:.4f}")
    elif approval.risk:
        facts.append(f"risk: {approval.risk}")
    if approval.expires_at is not None:
        facts.append(f"until {approval.expires_at:%Y-%m-%d %H:%M:%S} UTC; silence means no")
    if approval.if_denied:
        facts.append(f"on no: {approval.if_denied}")
    diff = approval.details.get("diff")
    data: dict[str, object] = {
        "approval": approval.id, "word": approval.word,
        "diff": [str(line) for line in diff] if isinstance(diff, list | tuple) else [],
    }  # fmt: skip
    title = f"Approval needed: {approval.subject}"
    return Alert(new_id("alr"), f"approval:{approval.id}", Severity.WARNING, title, "\n".join(facts), "", approval.id, data)


def question_alert(question: Question) -> Alert:
    """Asks what only the user can decide."""
    body = f"project {question.project_id}" if question.project_id else ""
    data: dict[str, object] = {"question": question.id, "options": list(question.options), "kind": question.kind}
    return Alert(new_id("alr"), f"question:{question.id}", Severity.WARNING, question.text, body, "", question.id, data)


def project_alert(project: Project) -> Alert | None:
    """A project came to its end, or was put in quarantine; None while it goes on."""
    words = {
        ProjectStatus.DELIVERED: (Severity.NOTICE, "delivered"), ProjectStatus.FAILED: (Severity.WARNING, "failed"),
        ProjectStatus.QUARANTINED: (Severity.WARNING, "in quarantine"),
    }  # fmt: skip
    if project.status not in words:
        return None
    severity, word = words[project.status]
    facts = [line for line in (project.detail, f"branch {project.branch} in {project.repo_path}" if project.branch else "") if line]
    facts.append(f"{project.round} rounds, ${project.cost_usd:.4f}")
    title = f"Project {project.id} {word}: {project.goal}"
    return Alert(new_id("alr"), f"project:{project.id}:{word}", severity, title, "\n".join(facts), f"projects {word}", project.id)


def recovery_alert(report: RecoveryReport) -> Alert:
    """The report of an outage."""
    body = "\n".join(reports.lines(report)[1:])
    return Alert(new_id("alr"), f"recovery:{report.id}", Severity.WARNING, report.summary, body, "", report.id, {"report": report.id})
