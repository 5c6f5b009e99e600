"""What counts as a test command, a test that ran, and a pass."""

import pytest

from executor_tui.agents.design import design_in
from executor_tui.agents.testing import count_passed, detect, is_test_file, judge

PYTEST_OK = "....                                                      [100%]\n4 passed in 0.02s\n"
UNITTEST_OK = "..\n----------------------------------------------------------------------\nRan 2 tests in 0.001s\n\nOK\n"
UNITTEST_SKIPPED = "ss\n---\nRan 2 tests in 0.001s\n\nOK (skipped=2)\n"
UNITTEST_BAD = "F.\n---\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n"
NODE_OK = "✔ adds (1ms)\nℹ tests 1\nℹ suites 0\nℹ pass 1\nℹ fail 0\n"
NODE_NONE = "ℹ tests 0\nℹ pass 0\nℹ fail 0\n"
GO_OK = "ok  \texample.com/a\t0.002s\n?   \texample.com/b\t[no test files]\n"
GO_NONE = "?   \texample.com/a\t[no test files]\n"
GO_NONE_TO_RUN = "ok  \texample.com/a\t0.002s [no tests to run]\n"
CARGO_OK = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 0 ignored\n"
CARGO_NONE = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured\n"
JEST_OK = "Test Suites: 1 passed, 1 total\nTests:       3 passed, 3 total\n"
TAP_OK = "TAP version 13\nok 1 - a\nok 2 - b # SKIP later\n1..2\n"


@pytest.mark.parametrize(
    ("output", "passed"),
    [
        (PYTEST_OK, 4), ("1 failed, 3 passed in 1s", 3), ("3 skipped in 0.1s", None), ("no tests ran in 0.01s", 0),
        (UNITTEST_OK, 2), (UNITTEST_SKIPPED, 0), (UNITTEST_BAD, 1),
        ("Ran 0 tests in 0.000s\n\nOK\n", 0), ("Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", 0),
        (NODE_OK, 1), (NODE_NONE, 0), (GO_OK, 1), (GO_NONE, 0), (CARGO_OK, 3), (CARGO_NONE, 0), (JEST_OK, 3), (TAP_OK, 1),
        ("  5 passing (20ms)\n", 5), ("All good!\n", None), ("", None), ("password: 12 passes\n", None),
    ],
)  # fmt: skip
def test_the_number_of_tests_is_read_from_what_runners_print(output: str, passed: int | None) -> None:
    assert count_passed(output) == passed


@pytest.mark.parametrize("output", [PYTEST_OK, UNITTEST_OK, NODE_OK, GO_OK, CARGO_OK, JEST_OK, TAP_OK])
def test_exit_code_0_with_a_test_that_ran_is_a_pass(output: str) -> None:
    assert judge("exit", 0, "", output).passed


@pytest.mark.parametrize(
    "output", ["", "All good!\n", UNITTEST_SKIPPED, NODE_NONE, GO_NONE, GO_NONE_TO_RUN, CARGO_NONE, "3 skipped in 0.1s"]
)
def test_exit_code_0_without_any_test_is_not(output: str) -> None:
    verdict = judge("exit", 0, "", output)
    assert not verdict.passed and "exit code 0" in verdict.reason


@pytest.mark.parametrize(
    ("ended", "code", "summary", "says"),
    [
        ("exit", 1, "", "failed with exit code 1"),
        ("exit", 127, "", "not found"),
        ("timeout", None, "stopped: still running after 120 s (120.0 s)", "still running"),
        ("output_limit", None, "stopped: more than 100 bytes of output (1.0 s)", "more than 100 bytes"),
        ("signal", 137, "ended by signal 9 (1.0 s)", "signal 9"),
    ],
)
def test_anything_else_is_not_a_pass_whatever_it_printed(ended: str, code: int | None, summary: str, says: str) -> None:
    verdict = judge(ended, code, summary, PYTEST_OK)
    assert not verdict.passed and says in verdict.reason


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/test_a.py", True), ("test_a.py", True), ("a_test.go", True), ("src/a.test.ts", True), ("src/__tests__/a.js", True),
        ("tests/__init__.py", False), ("conftest.py", False), ("src/app.py", False), ("docs/test.md", False), ("src/AppTest.java", True),
        ("contest.py", False), ("tests/data.json", False), ("tests/api.rs", True),
    ],
)  # fmt: skip
def test_test_files_are_known_by_their_names(path: str, is_test: bool) -> None:
    assert is_test_file(path) is is_test


@pytest.mark.parametrize(
    ("paths", "texts", "has_pytest", "command"),
    [
        (["Makefile"], {"Makefile": "all:\n\techo\ntest: all\n\tpytest\n"}, True, "make test"),
        (["package.json"], {"package.json": '{"scripts": {"test": "vitest run"}}'}, True, "npm test --silent"),
        (["package.json"], {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, True, ""),
        (["package.json", "a.test.js"], {"package.json": "{broken"}, True, "node --test"),
        (["Cargo.toml"], {}, True, "cargo test --offline"),
        (["go.mod"], {}, True, "go test ./..."),
        (["tests/test_a.py"], {}, True, "python3 -m pytest -q"),
        (["tests/test_a.py"], {}, False, "python3 -m unittest discover -s tests"),
        (["test_a.py"], {}, False, "python3 -m unittest discover"),
        (["app.py", "README.md"], {}, True, ""),
    ],
)
def test_a_repository_suggests_its_test_command(paths: list[str], texts: dict[str, str], has_pytest: bool, command: str) -> None:
    runner = "python3 -m pytest" if has_pytest else "python3 -m unittest"
    assert detect(paths, texts, runner, has_pytest) == command


def test_the_last_block_of_a_design_counts() -> None:
    text = '```executor\n{"test_command": "a"}\n```\ntext\n```executor\n{"test_command": " make test ", "files": ["x", 3]}\n```\n'
    design = design_in(text)
    assert (design.test_command, design.files, design.problem) == ("make test", ("x",), "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no block", "the block"), ("```executor\n{oops\n```", "valid JSON"), ("```executor\n[]\n```", "a test_command"),
        ('```executor\n{"test_command": ""}\n```', "a test_command"), ('```executor\n{"test_command": "a\\nb"}\n```', "on one line"),
    ],
)  # fmt: skip
def test_a_design_that_a_program_cannot_read_says_what_is_missing(text: str, says: str) -> None:
    assert says in design_in(text).problem
