"""QA's verdict: the exit code of the test command, run by us in a clean copy of the repository, and kept there as evidence."""

import json
from dataclasses import dataclass

from executor_tui.agents.base import DESIGN, EVIDENCE, text_of
from executor_tui.agents.client import Json
from executor_tui.agents.design import design_in
from executor_tui.agents.testing import LOOKED_INTO, Verdict, detect, has_tests, judge
from executor_tui.agents.toolbox import cut, shortened
from executor_tui.core.pipeline import records
from executor_tui.core.pipeline.parts import number_in, text_in
from executor_tui.core.pipeline.work import Work, message_for
from executor_tui.domain.crash import crash_point
from executor_tui.domain.event import Event, Level
from executor_tui.domain.project import Stage, Step, StepStatus
from executor_tui.workspaces.base import RunResult, Workspace, clean_copy

TAIL_CHARS = 6_000
NO_TESTS = "there are no tests in the repository; that is not a pass"
NO_COMMAND = "there is no test command: docs/design.md names none in its ```executor block and the repository suggests none"


@dataclass(frozen=True, slots=True)
class Tested:
    """One test run. `output` is its end; `ended` how it came to it ("exit", "timeout", …), empty when nothing was run."""

    command: str
    exit_code: int | None
    ended: str
    duration_s: float
    output: str
    commit: str
    at: str
    passed: bool
    reason: str
    tests: int | None = None

    @staticmethod
    def from_json(data: Json) -> "Tested":
        return Tested(**data)  # type: ignore[arg-type]

    @property
    def feedback(self) -> str:
        """The verdict as the Coder is told it."""
        return f"{self.reason}\n$ {self.command or '(no test command)'}\n{self.output}".strip()


async def run_tests(work: Work) -> Tested:
    """Run the test command in a clean copy of `work.head`."""

    async def body(step_id: str) -> Json:
        workspace = await work.clean_workspace()
        command = await test_command(work, workspace)
        await _tell_begin(work, step_id, command)
        at = work.parts.clock.now().isoformat(timespec="seconds")
        missing = NO_COMMAND if not command else "" if await has_tests(workspace) else NO_TESTS
        if missing:
            tested = Tested(command, None, "", 0.0, "", work.head, at, False, missing)
        else:
            async with clean_copy(workspace) as copy:
                result = await copy.run(command, work.parts.limits)
            tested = _tested(result, command, work.head, at)
        crash_point("pipeline.tested")
        await _tell_end(work, step_id, tested)
        return {name: getattr(tested, name) for name in Tested.__dataclass_fields__}

    return Tested.from_json(await work.journal.step("test", body))


def _tested(result: RunResult, command: str, commit: str, at: str) -> Tested:
    verdict: Verdict = judge(str(result.ended), result.exit_code, result.summary, result.output)
    output = cut(shortened(result), TAIL_CHARS)
    duration_s = round(result.duration_s, 3)
    return Tested(
        command, result.exit_code, str(result.ended), duration_s, output, commit, at, verdict.passed, verdict.reason, verdict.tests
    )  # fmt: skip


async def test_command(work: Work, workspace: Workspace) -> str:
    """The command of the design's `executor` block, else what the repository suggests; empty when neither does."""
    named = design_in(await text_of(workspace, DESIGN)).test_command
    if named:
        return named
    paths = await workspace.list_files()
    texts = {name: await text_of(workspace, name) for name in LOOKED_INTO if name in paths}
    return detect(paths, texts, work.prepared.python_tests, work.prepared.has_pytest)


async def _tell_begin(work: Work, step_id: str, command: str) -> None:
    summary = f"running {command or 'nothing'}"
    step = Step(
        step_id,
        work.project_id,
        0,
        Stage.QA,
        work.round,
        "test",
        summary,
        StepStatus.RUNNING,
        prompt=command,
        started_at=work.parts.clock.now(),
    )
    await work.parts.store.steps.put(step)
    await work.parts.store.projects.update(work.project_id, stage=Stage.QA)


async def _tell_end(work: Work, step_id: str, tested: Tested) -> None:
    step = await work.parts.store.steps.get(step_id)
    status = StepStatus.DONE if tested.passed else StepStatus.FAILED
    kind, level = ("tests.passed", Level.INFO) if tested.passed else ("tests.failed", Level.WARNING)
    data: dict[str, object] = {"round": work.round, "exit_code": tested.exit_code, "command": tested.command, "tests": tested.tests}
    event = Event(kind, f"round {work.round}: {tested.reason}", level, project_id=work.project_id, subject_id=step_id, data=data)
    done = Step(
        step.id, step.project_id, step.seq, step.stage, step.round, step.kind, tested.reason, status, prompt=tested.command,
        reply=tested.output, commit=tested.commit, started_at=step.started_at,
    )  # fmt: skip
    await records.step_done(work.parts, done, event)


async def keep_evidence(work: Work, tested: Tested) -> None:
    """Write docs/qa/round-N.json and commit it; `work.head` moves along."""

    async def body(step_id: str) -> Json:
        commit = await work.commit_made_by(step_id)
        if not commit:
            workspace = await work.clean_workspace()
            await workspace.write(f"{EVIDENCE}/round-{work.round}.json", json.dumps(evidence(work.round, tested), indent=2) + "\n")
            subject = f"QA: round {work.round} {'passed' if tested.passed else 'failed'}, {tested.reason}"
            commit = await workspace.commit(message_for(subject, step_id), "QA")
        crash_point("pipeline.evidence")
        summary = f"evidence of round {work.round} kept"
        await records.step_done(work.parts, Step(step_id, work.project_id, 0, Stage.QA, work.round, "evidence", summary, commit=commit))
        await work.parts.store.projects.update(work.project_id, head=commit)
        return {"commit": commit}

    work.head = text_in(await work.journal.step("evidence", body), "commit")


def evidence(number: int, tested: Tested) -> dict[str, object]:
    """The file's content: what was run, on which commit, how it ended, and the end of what it said."""
    return {
        "round": number, "passed": tested.passed, "reason": tested.reason, "command": tested.command, "exit_code": tested.exit_code,
        "ended": tested.ended, "duration_s": tested.duration_s, "tests_passed": tested.tests, "commit": tested.commit, "at": tested.at,
        "output_tail": tested.output,
    }  # fmt: skip


async def rounds_allowed(work: Work) -> int:
    """How many rounds there may be as of now; the user may have raised it."""

    async def body(step_id: str) -> Json:
        project = await work.parts.store.projects.get(work.project_id)
        return {"rounds": project.max_rounds}

    return number_in(await work.journal.step("rounds", body), "rounds")
