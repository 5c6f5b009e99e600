"""A deep search from question to kept report: the agent's state, the call, the files, the event. Asked twice by one id, it is paid once."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from executor_tui.agents.deep_search import Door, Search, search, why_not
from executor_tui.agents.search_report import Depth, SearchReport, as_markdown
from executor_tui.agents.search_stream import OnProgress
from executor_tui.agents.tools import one_line
from executor_tui.config.load import Config
from executor_tui.config.places import Places, write_atomically
from executor_tui.core.skill_injector import SkillInjector
from executor_tui.domain.agent import Agent, AgentState, Role
from executor_tui.domain.errors import BudgetError, NotFoundError
from executor_tui.domain.event import Event
from executor_tui.store.store import Store

FOLDER, DEFAULT_AGENT = "searches", "deep-search-001"

Access = Callable[[str, str], Awaitable[tuple[str, str]]]
"""(agent id, project id) → (base URL with /v1, virtual key)."""


class Searcher:
    """Searches for one installation. `access` gives the way to the gateway; the HTTP session is the caller's."""

    def __init__(
        self, store: Store, places: Places, config: Config, skills: SkillInjector, session: aiohttp.ClientSession, access: Access
    ) -> None:  # fmt: skip
        self._store, self._places, self._config, self._skills = store, places, config, skills
        self._session, self._access = session, access

    async def run(self, wanted: Search, on_progress: OnProgress | None = None) -> SearchReport:
        """The report of this search; the kept one when it was made before. Raises what `agents.deep_search.search` raises."""
        kept = find_report(self._places, wanted.id)
        if kept is not None:
            return kept
        base_url, secret = await self._access(wanted.agent_id, wanted.project_id)
        door = Door(self._session, base_url, self._store.clock, secret)
        system = self._skills.generate_system_prompt(Role.DEEP_SEARCH, 0 if wanted.depth is Depth.QUICK else None)
        await self._mark(wanted, AgentState.BUSY, one_line(wanted.question, 120))
        try:
            report = await search(wanted, door, self._config.models, system, on_progress)
        finally:
            await self._mark(wanted, AgentState.ONLINE, "")
        keep_report(self._places, report)
        await self._tell(report)
        return report

    async def _mark(self, wanted: Search, state: AgentState, task: str) -> None:
        """Show on the fleet what the agent is at. A search may run without a registry; then there is no row."""
        if wanted.agent_id and await self._store.agents.find(wanted.agent_id) is not None:
            project, now = (wanted.project_id or None) if task else None, self._store.clock.now()
            await self._store.agents.set_state(wanted.agent_id, state, "", task=task, project_id=project, progress_at=now)

    async def _tell(self, report: SearchReport) -> None:
        found = f"{len(report.sources)} sources" if report.cited else "no sources"
        event = Event(
            "search.done", f"deep search by {report.model}, {found}, ${report.cost_usd:.4f}: {one_line(report.question, 120)}",
            agent_id=report.agent_id, project_id=report.project_id, subject_id=report.id,
            data={"report": str(report_file(self._places, report.id)), "model": report.model, "cited": report.cited,
                  "sources": len(report.sources), "cost_usd": report.cost_usd, "depth": str(report.depth)},
        )  # fmt: skip
        await self._store.events.add(event)


async def search_agent(store: Store) -> str:
    """The id of the agent that searches: a free one of the registry, else the usual name."""
    found: list[Agent] = [a for a in await store.agents.of_role(Role.DEEP_SEARCH) if not a.paused]
    idle = [a for a in found if a.state is not AgentState.BUSY]
    return (idle or found)[0].id if found else DEFAULT_AGENT


async def can_search(store: Store, config: Config) -> bool:
    """Whether something that searches could be asked now."""
    return not await why_not(store, config)


async def left_for_project(store: Store, config: Config, project_id: str, agent_id: str) -> float:
    """What a project's agents may still spend on searches (USD). Raises BudgetError when it is nothing."""
    allowed = config.executor.projects.search_budget_usd
    spent = (await store.calls.spend(project_id=project_id, agent_id=agent_id)).cost_usd
    if spent >= allowed:
        raise BudgetError(f"this project's budget for searches is used up (${spent:.4f} of ${allowed:.2f})")
    return allowed - spent


# -- reports -----------------------------------------------------------------------------------------------------------------------------


def report_file(places: Places, report_id: str, suffix: str = ".md") -> Path:
    """Where a report is kept: `.md` for reading, `.json` for programs. The id becomes a file's name, whatever it holds."""
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in report_id).lstrip(".") or "search"
    return places.state_dir / FOLDER / f"{name}{suffix}"


def keep_report(places: Places, report: SearchReport) -> None:
    """Write both files. The JSON comes last: a report counts as kept once it is whole."""
    write_atomically(report_file(places, report.id), as_markdown(report))
    write_atomically(report_file(places, report.id, ".json"), json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")


def find_report(places: Places, report_id: str) -> SearchReport | None:
    """A kept report; None when there is none that can be read."""
    try:
        raw = json.loads(report_file(places, report_id, ".json").read_text(encoding="utf-8"))
        return SearchReport.from_json(raw) if isinstance(raw, dict) else None
    except (OSError, ValueError, KeyError, TypeError, AssertionError):
        return None


def get_report(places: Places, report_id: str) -> SearchReport:
    """A kept report. Raises NotFoundError."""
    found = find_report(places, report_id)
    if found is None:
        raise NotFoundError(f"no search report {report_id!r}", hint="see what there is with: executor search --list")
    return found


def list_reports(places: Places) -> tuple[SearchReport, ...]:
    """Every kept report, newest first."""
    folder = places.state_dir / FOLDER
    names = [path.stem for path in folder.glob("*.json")] if folder.is_dir() else []
    found = [report for name in names if (report := find_report(places, name)) is not None]
    return tuple(sorted(found, key=lambda report: report.asked_at, reverse=True))
