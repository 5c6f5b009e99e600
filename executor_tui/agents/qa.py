"""QA: reads the requirements against the program and adds the tests that are missing. The verdict is not its to give."""

from executor_tui.agents.base import DESIGN, PRD, AgentContext, ProjectAgent
from executor_tui.agents.toolbox import Rights
from executor_tui.domain.agent import Role
from executor_tui.workspaces.base import Workspace

TEST_PATHS = (
    "test/*",
    "tests/*",
    "*/test/*",
    "*/tests/*",
    "*/__tests__/*",
    "__tests__/*",
    "*test_*.py",
    "*_test.*",
    "*.test.*",
    "*.spec.*",
)


class Qa(ProjectAgent):
    role = Role.QA
    title = "QA"
    rights = Rights(("read", "search", "list", "run", "write", "edit", "read_skill", "finish"), (*TEST_PATHS, "!docs/*"))
    max_turns = 14
    wants = (PRD,)
    mandate = (
        "You are QA of a small software team: PM, Architect, Coder, QA. The Coder's tests pass. Go through the acceptance criteria of"
        f" {PRD} one by one and see whether a test really decides each: right input, right expectation, and it would fail"
        " if the behaviour were"
        " missing. Add the tests that are missing, for edges and errors too, as test files beside the existing ones. You"
        " may not change the program:"
        " a test of yours that fails for a good reason is exactly what is wanted, the Coder gets it next. Never write a"
        " test that expects more"
        " than the requirements say. The verdict is the exit code of the test command, run by a program after you. If"
        " nothing is missing, add"
        " nothing. In the end call finish and say what you added, or that the tests suffice."
    )

    def task(self, context: AgentContext) -> str:
        return (
            f"Review the tests against {PRD} and add what is missing. The test command is: {context.test_command}. The plan is in {DESIGN}."
        )

    async def check(self, workspace: Workspace, context: AgentContext) -> str:
        return ""
