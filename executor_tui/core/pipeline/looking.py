"""Deep search as a tool of the PM and the Architect: on its own agent's account, within the project's budget for it, paid once."""

from executor_tui.agents.base import ProjectAgent
from executor_tui.agents.deep_search import Search
from executor_tui.agents.search_report import Depth, as_text
from executor_tui.agents.toolbox import Research
from executor_tui.agents.tools import DeepSearch
from executor_tui.core.pipeline.work import Work
from executor_tui.core.searching import Searcher, can_search, left_for_project, search_agent


async def research_for(work: Work, agent: ProjectAgent, turn_id: str) -> Research | None:
    """The tool for one turn; None for a role that has no use for it, without a budget, and while nothing can search."""
    parts = work.parts
    if DeepSearch.tool not in agent.rights.tools or not parts.config.executor.projects.search_budget_usd:
        return None
    if parts.session is None or not await can_search(parts.store, parts.config):
        return None
    searcher = Searcher(parts.store, parts.places, parts.config, parts.skills, parts.session, parts.model_access)

    async def research(call_id: str, question: str, depth: str) -> str:
        searching = await search_agent(parts.store)
        budget_usd = await left_for_project(parts.store, parts.config, work.project_id, searching)
        why = f"{agent.title} of project {work.project_id} asks"
        wanted = Search(f"{turn_id}.{call_id}", question, Depth(depth), "", budget_usd, searching, work.project_id, why)
        return as_text(await searcher.run(wanted))

    return research
