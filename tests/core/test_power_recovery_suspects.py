"""Which work is to blame when the node keeps going down."""

from executor_tui.core.recovery.suspects import Suspect, count, guilty
from executor_tui.domain.recovery import OutageKind

AT_STEP_9 = {"project:prj-a": "coder 2.9"}


def crashes(*places: dict[str, str]) -> tuple[Suspect, ...]:
    suspects: tuple[Suspect, ...] = ()
    for in_progress in places:
        suspects = count(suspects, in_progress, OutageKind.CRASH)
    return suspects


def test_the_same_work_at_the_same_place_in_three_crashes_is_guilty() -> None:
    assert guilty(crashes(AT_STEP_9, AT_STEP_9)) == ()
    assert guilty(crashes(AT_STEP_9, AT_STEP_9, AT_STEP_9)) == ("project:prj-a",)


def test_work_that_moved_on_between_crashes_starts_anew() -> None:
    moved = {"project:prj-a": "coder 2.10"}
    assert guilty(crashes(AT_STEP_9, AT_STEP_9, moved)) == ()
    assert guilty(crashes(AT_STEP_9, AT_STEP_9, moved, moved, moved)) == ("project:prj-a",)


def test_work_that_was_not_there_in_one_of_them_starts_anew() -> None:
    assert guilty(crashes(AT_STEP_9, AT_STEP_9, {}, AT_STEP_9)) == ()


def test_a_power_cut_is_nobodys_fault_and_absolves_nobody() -> None:
    twice = crashes(AT_STEP_9, AT_STEP_9)
    assert count((), AT_STEP_9, OutageKind.POWER_LOSS) == ()
    assert count(twice, AT_STEP_9, OutageKind.POWER_LOSS) == twice


def test_a_clean_stop_absolves() -> None:
    assert count(crashes(AT_STEP_9, AT_STEP_9), AT_STEP_9, OutageKind.CLEAN_STOP) == ()


def test_only_the_work_that_stood_still_is_named() -> None:
    suspects = crashes(*({**AT_STEP_9, "project:prj-b": f"qa 1.{n}"} for n in range(3)))
    assert guilty(suspects) == ("project:prj-a",)


def test_zero_switches_quarantine_off() -> None:
    assert guilty(crashes(*[AT_STEP_9] * 9), limit=0) == ()
