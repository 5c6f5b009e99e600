"""A project's repository for the seed: four commits, each with the same id wherever and whenever it is made."""

import subprocess
from pathlib import Path

PARSE = """def parse(text):
    rows = text.splitlines()
    header = rows[0].split(";")
    return [dict(zip(header, row.split(";"))) for row in rows[1:]]
"""
TEST = """from invoices.parse import parse


def test_two_rows():
    assert len(parse("no;sum\\n1;10\\n2;20")) == 2


def test_empty_input():
    assert parse("") == []
"""
ROUND = '{"command": ["pytest", "-q"], "exit_code": 1, "passed": 20, "failed": 1, "duration_s": 0.41}\n'
PRD = "# Invoices to CSV\n\nOne folder in, one CSV out. Six acceptance tests.\n"
DESIGN = "# Design\n\n```mermaid\ngraph LR\n  folder --> parse --> write --> csv\n```\n"
COMMITS: tuple[tuple[str, dict[str, str]], ...] = (
    ("docs/prd.md", {"docs/prd.md": PRD}),
    ("docs/design.md", {"docs/design.md": DESIGN}),
    ("Parser, writer, command line", {"src/invoices/parse.py": PARSE, "tests/test_parse.py": TEST, "README.md": "# invoices\n"}),
    ("QA round 1", {"docs/qa/round-1.json": ROUND}),
)


def make_repo(path: Path) -> tuple[str, ...]:
    """Create it; the ids of its commits, oldest first."""
    path.mkdir(parents=True)
    _git(path, "init", "-q", "-b", "main")
    ids = []
    for number, (message, files) in enumerate(COMMITS):
        for name, text in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text, encoding="utf-8")
        _git(path, "add", "-A")
        _git(path, "commit", "-q", "-m", message, at=1_795_340_000 + 600 * number)
        ids.append(_git(path, "rev-parse", "HEAD").strip())
    return tuple(ids)


def _git(path: Path, *args: str, at: int = 0) -> str:
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in (
        ("NAME", "Executor"), ("EMAIL", "executor@localhost"), ("DATE", f"{at} +0000"))}  # fmt: skip
    env = who | {
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOME": "/nonexistent",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
    }
    return subprocess.run(["git", "-C", str(path), *args], env=env, check=True, capture_output=True, text=True).stdout
