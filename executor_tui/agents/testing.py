"""What a test run says: which command runs the tests of a repository, how many ran, and whether that is a pass.

A pass is exit code 0 from a run that came to its own end and in whose output at least one test is seen to have passed. Exit codes of zero
tests, measured: pytest 5, `unittest` 0 up to Python 3.11 and 5 from 3.12, `node --test` 0, `go test` 0, `cargo test` 0.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor_tui.workspaces.base import Workspace

_TEST_FILE = re.compile(
    r"(^|/)(test_[^/]*\.py|[^/]*_test\.(py|go|rb|exs|c|cc|cpp|dart)|[^/]*\.(test|spec)\.[cm]?[jt]sx?|[^/]*_spec\.rb|[^/]*Tests?\.(java|kt|cs|php)|[^/]*\.bats|"
    r"t/[^/]*\.t)$|(^|/)(tests?|__tests__|spec)/[^/]+\.(py|[cm]?[jt]sx?|rs|go|rb|sh|php|lua|c|cpp)$"
)


def is_test_file(path: str) -> bool:
    """Whether a path is named the way test files are."""
    name = path.rsplit("/", 1)[-1]
    return name not in ("__init__.py", "conftest.py") and _TEST_FILE.search(path) is not None


_INLINE_TESTS = r"^\s*#\[(\w+::)*test\]|^\s*@(Test|test)\b|^\s*>>> \S"


async def has_tests(workspace: Workspace) -> bool:
    """Whether the repository itself holds a test: a file named like one, or one within the code (Rust, Java, a docstring's example).

    A runner may find others: `unittest discover -s tests` runs a package `tests` from anywhere on Python's path (measured).
    """
    if any(is_test_file(path) for path in await workspace.list_files()):
        return True
    return bool(await workspace.search(_INLINE_TESTS))


# -- which command -----------------------------------------------------------------------------------------------------------------------

LOOKED_INTO = ("Makefile", "package.json", "pyproject.toml", "setup.cfg", "tox.ini")
"""Files whose text `detect` wants to see."""


def detect(paths: Sequence[str], texts: Mapping[str, str], python_tests: str = "python3 -m unittest", has_pytest: bool = False) -> str:
    """The test command the repository itself suggests; empty when nothing does.

    `python_tests` is how Python tests are run here, `has_pytest` whether pytest is there.
    """
    names = set(paths)
    if re.search(r"^test\s*:", texts.get("Makefile", ""), re.MULTILINE):
        return "make test"
    if "package.json" in names and _npm_test(texts.get("package.json", "")):
        return "npm test --silent"
    if "Cargo.toml" in names:
        return "cargo test --offline"
    if "go.mod" in names:
        return "go test ./..."
    tests = [p for p in paths if is_test_file(p)]
    if any(p.endswith(".py") for p in tests):
        return _python_command(tests, names, texts, python_tests, has_pytest)
    if any(re.search(r"\.(test|spec)\.[cm]?js$", p) for p in tests) or any(p.startswith("test/") and p.endswith("js") for p in tests):
        return "node --test"
    return ""


def _npm_test(package: str) -> bool:
    try:
        script = json.loads(package)["scripts"]["test"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return isinstance(script, str) and "no test specified" not in script


def _python_command(tests: Sequence[str], names: set[str], texts: Mapping[str, str], python_tests: str, has_pytest: bool) -> str:
    if has_pytest:
        return f"{python_tests} -q" if "pytest" in python_tests else "python3 -m pytest -q"
    folders = {p.split("/", 1)[0] for p in tests if "/" in p}
    start = next((f for f in ("tests", "test") if f in folders), "")
    return "python3 -m unittest discover" + (f" -s {start}" if start else "")


# -- what the output says ----------------------------------------------------------------------------------------------------------------

_SUMS = (
    re.compile(r"(?<![\w.])(\d+) pass(?:ed|ing)\b"),
    re.compile(r"^[#ℹ] pass (\d+)\s*$", re.MULTILINE),
    re.compile(r"\bTests run: (\d+), Failures: 0, Errors: 0"),
    re.compile(r"^OK \((\d+) tests?\b", re.MULTILINE),
    re.compile(r"^(\d+) examples?, 0 failures", re.MULTILINE),
    re.compile(r"^100% tests passed, 0 tests failed out of (\d+)", re.MULTILINE),
    re.compile(r"\bPassed:\s+(\d+)"),
)
_COUNTS = (
    re.compile(r"^ok \d+\b(?!.*# (?:SKIP|TODO))", re.MULTILINE | re.IGNORECASE),
    re.compile(r"^ok\s+\S+\s+(?!.*\[no tests to run\])(?:\(cached\)|[\d.]+s)", re.MULTILINE),
    re.compile(r"^\s*--- PASS: ", re.MULTILINE),
)
_SUITES = re.compile(r"^\s*Test (?:Suites|Files)\b.*$", re.MULTILINE)
"""Jest and Vitest count files too; those are no tests."""
_UNITTEST = re.compile(r"^Ran (\d+) tests? in .*?\n+(?:OK|FAILED)(?: \((.*?)\))?", re.MULTILINE | re.DOTALL)
_NONE = re.compile(r"no tests ran|NO TESTS RAN|no test files|No tests found|^running 0 tests|collected 0 items", re.MULTILINE)


def count_passed(output: str) -> int | None:
    """How many tests the output shows as passed; None when it speaks of none at all."""
    output = _SUITES.sub("", output)
    counts = [sum(int(n) for n in pattern.findall(output)) for pattern in _SUMS if pattern.search(output)]
    counts += [len(pattern.findall(output)) for pattern in _COUNTS if pattern.search(output)]
    counts += _unittest_counts(output)
    if counts:
        return max(counts)
    return 0 if _NONE.search(output) or re.search(r"^Ran 0 tests", output, re.MULTILINE) else None


def _unittest_counts(output: str) -> list[int]:
    found = []
    for match in _UNITTEST.finditer(output):
        minus = sum(int(n) for n in re.findall(r"(?:failures|errors|skipped|unexpected successes)=(\d+)", match.group(2) or ""))
        found.append(max(0, int(match.group(1)) - minus))
    return [sum(found)] if found else []


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test run means. `reason` is one line; `tests` how many passed, None when that cannot be seen."""

    passed: bool
    reason: str
    tests: int | None = None


def judge(ended: str, exit_code: int | None, summary: str, output: str) -> Verdict:
    """The verdict on one run; `ended` and `summary` are the runner's, `output` what was kept of the output."""
    tests = count_passed(output)
    if ended != "exit":
        return Verdict(False, f"the tests were {summary}", tests)
    if exit_code == 127:
        return Verdict(False, "the test command was not found (exit code 127)", tests)
    if exit_code != 0:
        none = " (no tests were collected)" if tests == 0 and _NONE.search(output) else ""
        return Verdict(False, f"the tests failed with exit code {exit_code}{none}", tests)
    if tests is None:
        return Verdict(False, "exit code 0, but the output does not tell that any test ran; use a runner that prints how many passed")
    if tests == 0:
        return Verdict(False, "exit code 0, but no test ran; that is not a pass", 0)
    return Verdict(True, f"{tests} test{'s' if tests != 1 else ''} passed", tests)
