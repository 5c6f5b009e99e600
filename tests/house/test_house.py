"""The house keeps its own rules: what a static import graph cannot see, sizes, and what a room's door says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "executor_tui"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported_by(statement: str) -> set[str]:
    """What a fresh interpreter has loaded after a statement: late imports inside functions are not run, module-level ones are."""
    probe = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()}


@pytest.mark.parametrize("module", ["executor_tui.headless", "executor_tui.node", "executor_tui.core.orchestrator"])
def test_the_node_never_loads_textual_or_litellm(module: str) -> None:
    assert not {"textual", "litellm"} & imported_by(f"import {module}")


def test_the_domain_loads_nothing_but_the_standard_library() -> None:
    names = ", ".join(f"executor_tui.domain.{p.stem}" for p in (PACKAGE / "domain").glob("*.py") if p.stem != "__init__")
    loaded = imported_by(f"import {names}")
    assert loaded - set(sys.stdlib_module_names) <= {"executor_tui", "_virtualenv", "__main__", "sitecustomize", "_distutils_hack"} | {
        name for name in loaded if name.startswith(("__editable__", "_"))
    }


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=lambda p: str(p.relative_to(PACKAGE.parent)))
def test_a_rooms_door_holds_a_sentence_and_no_code(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_no_file_has_grown_past_600_lines() -> None:
    assert {str(p): n for p in MODULES if (n := len(p.read_text().splitlines())) > 600} == {}


def test_no_module_speaks_of_a_machines_paths_or_holds_a_real_secret() -> None:
    suspicious = ("/work/", "/root/", "AGE-SECRET-KEY-1Q")
    found = [f"{p.name}: {word}" for p in MODULES for word in suspicious if word in p.read_text()]
    assert found == []
