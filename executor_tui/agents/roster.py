"""The project roles by name."""

from executor_tui.agents.architect import Architect
from executor_tui.agents.base import ProjectAgent
from executor_tui.agents.coder import Coder
from executor_tui.agents.pm import Pm
from executor_tui.agents.qa import Qa
from executor_tui.domain.agent import Role

PROJECT_AGENTS: dict[Role, ProjectAgent] = {agent.role: agent for agent in (Pm(), Architect(), Coder(), Qa())}
"""Each role's way of working; they hold no state, so one of each is enough for every project."""
