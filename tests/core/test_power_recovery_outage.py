"""How the last run ended, judged from what it left behind."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from executor_tui.core.recovery import outage as outages
from executor_tui.core.recovery.last_state import NodeState
from executor_tui.core.recovery.outage import Here, classify, report_id, shutdown_recorded
from executor_tui.domain.recovery import OutageKind

THEN = datetime(2026, 11, 22, 3, 12, tzinfo=UTC)
NOW = THEN + timedelta(hours=2, minutes=13)


def before(**changes: object) -> NodeState:
    given: dict[str, object] = {
        "node_id": "node-a", "boot_id": "boot-1", "pid": 4711, "started_at": THEN - timedelta(days=1), "heartbeat_at": THEN,
        "monotonic_s": 5000.0,
    }  # fmt: skip
    return NodeState(**{**given, **changes})  # type: ignore[arg-type]


def here(**changes: object) -> Here:
    given: dict[str, object] = {"at": NOW, "monotonic_s": 5000.0 + (NOW - THEN).total_seconds(), "boot_id": "boot-1"}
    return Here(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "now", "kind", "sure"),
    [
        (None, here(), OutageKind.FIRST_START, "certain"),
        (before(clean=True), here(), OutageKind.CLEAN_STOP, "certain"),
        (before(clean=True), here(boot_id="boot-2"), OutageKind.CLEAN_STOP, "certain"),
        (before(), here(), OutageKind.CRASH, "certain"),
        (before(), here(pid_alive=True), OutageKind.CRASH, "likely"),
        (before(), here(boot_id="boot-2", shutdown=True), OutageKind.REBOOT, "certain"),
        (before(), here(boot_id="boot-2", shutdown=False), OutageKind.POWER_LOSS, "certain"),
        (before(), here(boot_id="boot-2"), OutageKind.POWER_LOSS, "likely"),
        (before(boot_id=""), here(), OutageKind.CRASH, "unknown"),
        (before(), here(boot_id=""), OutageKind.CRASH, "unknown"),
    ],
)
def test_the_evidence_decides_the_kind(old: NodeState | None, now: Here, kind: OutageKind, sure: str) -> None:
    verdict = classify(old, now).outage
    assert (verdict.kind, verdict.sure) == (kind, sure)


def test_the_downtime_runs_from_the_last_sign_of_life() -> None:
    assert classify(before(), here(boot_id="boot-2")).outage.downtime_s == (NOW - THEN).total_seconds()


def test_within_one_boot_a_clock_set_back_a_day_does_not_change_the_downtime() -> None:
    verdict = classify(before(), here(at=NOW - timedelta(days=1)))
    assert verdict.outage.downtime_s == (NOW - THEN).total_seconds()
    assert "clock was set back by 24.0 h" in verdict.note


def test_after_a_reboot_a_clock_before_the_last_sign_of_life_leaves_the_downtime_unknown_and_says_so() -> None:
    verdict = classify(before(), here(at=THEN - timedelta(days=1), boot_id="boot-2", monotonic_s=10.0))
    assert verdict.outage.downtime_s == 0.0
    assert "clock stands before the last sign of life" in verdict.note


def test_a_machine_that_slept_counts_its_sleep_as_downtime() -> None:
    verdict = classify(before(), here(monotonic_s=5030.0))
    assert verdict.outage.downtime_s == (NOW - THEN).total_seconds()
    assert "slept" in verdict.note


def test_the_report_of_one_outage_has_one_name_and_another_outage_another() -> None:
    assert report_id(before()) == report_id(before(agents={"a": "busy"}))
    assert report_id(before()) != report_id(before(heartbeat_at=THEN + timedelta(seconds=2)))
    assert report_id(before()) != report_id(before(node_id="node-b"))


def wtmp_record(kind: int, user: bytes, at: datetime) -> bytes:
    line, ident, host = b"~", b"~~", b"6.1.0"
    return struct.pack(
        "<hxxi32s4s32s256shhiii4i20x", kind, 0, line, ident, user, host, 0, 0, 0, int(at.timestamp()), 0, 0, 0, 0, 0
    )  # fmt: skip


def test_wtmp_tells_a_shutdown_from_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages.platform, "machine", lambda: "x86_64")
    wtmp = tmp_path / "wtmp"
    old_shutdown = wtmp_record(1, b"shutdown", THEN - timedelta(hours=1))
    boot = wtmp_record(2, b"reboot", NOW - timedelta(minutes=1))
    wtmp.write_bytes(old_shutdown + boot)
    assert shutdown_recorded(THEN, wtmp) is False
    wtmp.write_bytes(old_shutdown + wtmp_record(1, b"shutdown", THEN + timedelta(seconds=5)) + boot)
    assert shutdown_recorded(THEN, wtmp) is True


def test_without_a_wtmp_that_covers_the_boot_nothing_is_concluded(tmp_path: Path) -> None:
    assert shutdown_recorded(THEN, tmp_path / "none") is None
    (tmp_path / "wtmp").write_bytes(wtmp_record(2, b"reboot", THEN - timedelta(days=3)))
    assert shutdown_recorded(THEN, tmp_path / "wtmp") is None
