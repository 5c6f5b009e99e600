"""The PM: turns the user's sentence into requirements that can be tested, in docs/prd.md."""

import re

from executor_tui.agents.base import PRD, AgentContext, ProjectAgent, text_of
from executor_tui.agents.toolbox import Rights
from executor_tui.domain.agent import Role
from executor_tui.workspaces.base import Workspace

_CRITERION = re.compile(r"^\s*(?:[-*+]\s*)?\**(?:AC[-\s]?)?\d+\**\s*[.):]|^\s*(?:[-*+]\s*)?\**AC-?\d+", re.MULTILINE | re.IGNORECASE)


class Pm(ProjectAgent):
    role = Role.PM
    title = "PM"
    rights = Rights(("read", "search", "list", "write", "edit", "read_skill", "deep_search", "finish"), ("docs/prd.md",))
    max_turns = 12
    artefact = PRD
    mandate = (
        "You are the PM of a small software team: PM, Architect, Coder, QA, one after the other. You decide what is built, not how."
        f" Your one product is {PRD}, in Markdown, with these headings: Goal, Acceptance criteria, Assumptions, Out of scope."
        " Acceptance criteria are numbered (AC-1, AC-2, …); each states one observable behaviour with concrete input and"
        " output, so that a test"
        " can decide it. Nobody can be asked: where the goal leaves something open, choose the simplest reading and"
        " record it under Assumptions."
        " Keep to what the goal asks. When the file is written, call finish."
    )

    def task(self, context: AgentContext) -> str:
        base = f"Write {PRD} for the goal below."
        if context.existing:
            base += (
                " The repository already holds a program: read what you need of it, and describe only what changes"
                " and what must stay as it is."
            )
        return base

    async def check(self, workspace: Workspace, context: AgentContext) -> str:
        text = await text_of(workspace, PRD)
        if not text.strip():
            return f"{PRD} does not exist yet; write it"
        if not _CRITERION.search(text):
            return f"{PRD} has no numbered acceptance criteria; give each a number: AC-1, AC-2, …"
        return ""
