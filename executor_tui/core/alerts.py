"""The alerts that Executor raises, and raising them.

Those that more than one room may raise are made here, each with its own dedupe key, so that whoever is first raises it and the others
change nothing. Where they go is decided in notify.routes; the outbox there sends them.
"""

from executor_tui.core.recovery import report as reports
from executor_tui.domain.alert import Alert, Severity
from executor_tui.domain.approval import OFFERED_MINUTES, Approval, ApprovalKind
from executor_tui.domain.ids import new_id
from executor_tui.domain.project import Project, ProjectStatus, Question
from executor_tui.domain.recovery import RecoveryReport
from executor_tui.notify.routes import raise_alert as raise_alert


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
    diff = _lines(approval.details.get("diff"))
    diff += [f"warning: {line}" for line in _lines(approval.details.get("warnings")) if f"! {line}" not in diff]
    data: dict[str, object] = {"approval": approval.id, "word": approval.word, "diff": diff}
    if approval.kind is ApprovalKind.CRITICAL_MODEL:
        data["minutes"] = OFFERED_MINUTES
        data |= {"project_usd": approval.offered_usd} if approval.project_id else {}
    title = f"Approval needed: {approval.subject}"
    return Alert(new_id("alr"), f"approval:{approval.id}", Severity.WARNING, title, "\n".join(facts), "", approval.id, data)


def _lines(value: object) -> list[str]:
    return [str(line) for line in value] if isinstance(value, list | tuple) else []


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
