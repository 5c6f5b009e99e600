"""The Architect: decides how it is built, in docs/design.md: a diagram, a plan of files, the test command where a program can read it."""

from executor_tui.agents.base import DESIGN, PRD, AgentContext, ProjectAgent, text_of
from executor_tui.agents.design import design_in
from executor_tui.agents.toolbox import Rights
from executor_tui.domain.agent import Role
from executor_tui.workspaces.base import Workspace

_BLOCK = '```executor\n{"test_command": "python3 -m unittest discover -s tests", "files": ["app.py", "tests/test_app.py"]}\n```'


class Architect(ProjectAgent):
    role = Role.ARCHITECT
    title = "Architect"
    rights = Rights(("read", "search", "list", "write", "edit", "read_skill", "escalate", "deep_search", "finish"), ("docs/design.md",))
    max_turns = 14
    wants = (PRD,)
    artefact = DESIGN
    mandate = (
        f"You are the Architect of a small software team: PM, Architect, Coder, QA. You decide how what {PRD} asks for is built."
        f" Your one product is {DESIGN}, in Markdown: the approach in a few sentences; one Mermaid diagram in a"
        " ```mermaid fence; each file with its"
        " purpose and the signatures others call; how errors are handled; how each acceptance criterion is tested; and,"
        " last, a block for the"
        f" program that runs the tests, exactly of this form:\n{_BLOCK}\n"
        "The test command must be one that runs all tests without network, ends by itself, tells how many tests ran, and"
        " exits non-zero when one"
        " fails. Prefer the standard library and what the sandbox has: nothing can be installed. Keep it as small as the criteria allow."
        " If one decision is so costly to get wrong that a stronger model should make it, call escalate before you write. When the file is"
        " written, call finish."
    )

    def task(self, context: AgentContext) -> str:
        base = f"Write {DESIGN} for the requirements in {PRD}."
        if context.existing:
            base += " The repository already holds a program: read its structure first, fit in with it, and keep its way of running tests."
        return base

    async def check(self, workspace: Workspace, context: AgentContext) -> str:
        text = await text_of(workspace, DESIGN)
        if not text.strip():
            return f"{DESIGN} does not exist yet; write it"
        missing = []
        if "```mermaid" not in text:
            missing.append("a diagram in a ```mermaid fence")
        design = design_in(text)
        if design.problem:
            missing.append(design.problem)
        return f"{DESIGN} lacks " + " and ".join(missing) if missing else ""
