"""The lab's report of one project: what was asked, what came of it, what it would have cost, where it is."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from executor_tui.domain.project import Project
from executor_tui.lab.errands import Errand
from executor_tui.store.store import Store


async def document(store: Store, project: Project, errands: Sequence[Errand] = ()) -> dict[str, Any]:
    """{"project", "rounds", "cost_usd", "cost_by_model", "repository", "evidence", "calls", "parks", "approvals", "errands"}."""
    spend = await store.calls.spend_by("model_id", project_id=project.id)
    repository = Path(project.repo_path)
    evidence = sorted(str(p.relative_to(repository)) for p in repository.glob("docs/qa/*.json")) if project.repo_path else []
    approvals = [a for a in await store.approvals.list() if a.project_id == project.id]
    return {
        "project": {"id": project.id, "goal": project.goal, "status": str(project.status), "detail": project.detail},
        "rounds": project.round,
        "cost_usd": round(project.cost_usd, 6),
        "cost_by_model": {name: round(s.cost_usd, 6) for name, s in sorted(spend.items()) if name},
        "calls": sum(s.calls for s in spend.values()),
        "parks": len(await store.parks.list()),
        "approvals": [{"subject": a.subject, "status": str(a.status), "by": a.decided_by} for a in approvals],
        "repository": project.repo_path,
        "branch": project.branch,
        "evidence": evidence,
        "errands": [asdict(errand) for errand in errands],
    }


def text(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = [
        f"project     {report['project']['id']}: {report['project']['goal']}",
        f"status      {report['project']['status']}" + (f" ({report['project']['detail']})" if report["project"]["detail"] else ""),
        f"rounds      {report['rounds']}",
        f"cost        ${report['cost_usd']:.4f} in {report['calls']} calls (simulated)",
    ]
    lines += [f"            {name:<24} ${cost:.4f}" for name, cost in report["cost_by_model"].items()]
    lines += [f"approval    {a['subject']}: {a['status']} by {a['by'] or '-'}" for a in report["approvals"]]
    for errand in report["errands"]:
        detail = f" ({errand['detail']})" if errand["detail"] else ""
        lines.append(f"errand      {errand['agent']}: {errand['what']}: {errand['status'].replace('_', ' ')}{detail}")
    lines += [f"evidence    {name}" for name in report["evidence"]]
    lines.append(f"repository  {report['repository']}")
    return "\n".join(lines)
