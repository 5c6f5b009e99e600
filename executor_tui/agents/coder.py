"""The Coder: writes the program and its tests in a tool loop, and answers to QA's verdicts."""

from executor_tui.agents.base import DESIGN, PRD, AgentContext, ProjectAgent
from executor_tui.agents.testing import has_tests
from executor_tui.agents.toolbox import Rights
from executor_tui.domain.agent import Role
from executor_tui.workspaces.base import Workspace


class Coder(ProjectAgent):
    role = Role.CODER
    title = "Coder"
    rights = Rights(
        ("read", "write", "edit", "search", "list", "run", "read_skill", "escalate", "finish"), ("*", "!docs/prd.md", "!docs/qa/*")
    )
    max_turns = 40
    wants = (PRD, DESIGN)
    mandate = (
        "You are the Coder of a small software team: PM, Architect, Coder, QA. You write the program and its tests, as"
        f" {DESIGN} plans them and {PRD} asks for them. Work with the tools: look before you change, write complete"
        " files, run the tests, read"
        " what they say, and go on until they pass. Every acceptance criterion has at least one test that would fail"
        " without it. What you write is"
        " committed for you after each turn. Your work is judged by running the test command in a clean copy of the"
        " repository, without network and"
        " without anything that is not committed; saying that it works counts for nothing. Never weaken or delete a test"
        " to make it pass. When the"
        " tests pass, call finish with a short summary."
    )

    def task(self, context: AgentContext) -> str:
        if context.feedback:
            return (
                f"Round {context.round}: the tests were run and the work was not accepted. Find the cause in the verdict below,"
                " mend the program"
                " (or a test that is wrong about the requirements), run the tests, and call finish."
            )
        base = "Write the program and its tests."
        if context.existing:
            base += " The repository already holds a program: keep its style, and keep its own tests passing."
        return f"{base} The test command is: {context.test_command}" if context.test_command else base

    async def check(self, workspace: Workspace, context: AgentContext) -> str:
        return "" if await has_tests(workspace) else "there are no tests in the repository yet; write them"
