"""`executor recovery` as an operator uses it, on a state directory after an outage."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from executor_tui.cli.group import executor
from executor_tui.config.places import Places
from executor_tui.domain.alert import Alert, DeliveryStatus, Severity
from executor_tui.domain.clock import SystemClock
from executor_tui.domain.project import Project, ProjectStatus
from executor_tui.domain.recovery import OutageKind, RecoveryReport
from executor_tui.store.store import Store, default_url

Run = Callable[..., Result]
UP = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def run(places: Places) -> Run:
    def run(*words: str) -> Result:
        own = ["--config", str(places.config_dir), "--state", str(places.state_dir)]
        return CliRunner().invoke(executor, ["recovery", *words, *own])

    return run


@pytest.fixture
def after_an_outage(places: Places) -> Places:
    async def work() -> None:
        store = await Store.open(default_url(places.state_dir), SystemClock())
        await store.projects.create(Project("prj-a", "count words", ProjectStatus.QUARANTINED))
        await store.reports.add(
            RecoveryReport(
                "rec-1", "node-a", OutageKind.POWER_LOSS, "certain", UP - timedelta(hours=2), UP, 7200.0,
                "Power loss: down 2 h; 1 of 2 agents back, 1 quarantined", in_flight_usd=0.12,
                agents={"pm-001": {"before": "busy", "after": "online"},
                        "qa-001": {"before": "busy", "after": "offline", "reason": "gone"}},
                work=({"id": "prj-a", "kind": "project", "outcome": "quarantined", "detail": "at each of 3 crashes"},),
                todo=("release it with: executor recovery release prj-a",), created_at=UP,
            )
        )  # fmt: skip
        await store.alerts.raise_(Alert("alr-1", "k", Severity.WARNING, "37 keys parked"), ("discord", "telegram"))
        ids = [d.id for d in await store.deliveries.list() if d.channel == "discord"]
        await store.deliveries.update_all(ids, status=DeliveryStatus.DEAD, error="400 Invalid Form Body")
        await store.close()

    asyncio.run(work())
    return places


def test_a_first_installation_says_that_there_is_nothing_yet(run: Run) -> None:
    assert run("last").output == "no outage has been reported\n"
    assert "no backup yet; make one with: executor recovery backup" in run("list").output
    assert run("letters").output == "no dead letters\n"


def test_last_shows_the_whole_report(run: Run, after_an_outage: Places) -> None:
    said = run("last").output
    for words in ("Power loss: down 2 h", "$0.1200 of calls in flight", "project prj-a: quarantined", "qa-001: busy → offline (gone)",
                  "release it with: executor recovery release prj-a"):  # fmt: skip
        assert words in said
    document = json.loads(run("last", "--json").output)["report"]
    assert document["kind"] == "power_loss" and document["agents"]["pm-001"]["after"] == "online"


def test_a_project_is_released_from_quarantine_once(run: Run, after_an_outage: Places) -> None:
    assert run("release", "prj-a").output == "project prj-a is queued again\n"
    again = run("release", "prj-a")
    assert again.exit_code != 0 and "not in quarantine; it is queued" in str(again.exception)


def test_a_backup_is_made_listed_and_put_back(run: Run, after_an_outage: Places) -> None:
    assert "backed up to" in run("backup").output
    (backup,) = json.loads(run("list", "--json").output)["backups"]
    run("release", "prj-a")
    done = run("restore", Path(backup["path"]).name, "--yes")
    assert done.exit_code == 0 and "what was there is kept as executor.db.before-restore-" in done.output
    assert "project prj-a is queued again" in run("release", "prj-a").output, "as it was when the backup was made"


def test_what_cannot_be_restored_is_said_and_nothing_is_touched(run: Run, after_an_outage: Places) -> None:
    before = (after_an_outage.state_dir / "executor.db").read_bytes()
    (after_an_outage.state_dir / "no.db").write_text("not a database at all")
    for name, words in (("nowhere.db", "there is no backup at"), ("no.db", "does not begin as a SQLite database")):
        failed = run("restore", name if name == "nowhere.db" else str(after_an_outage.state_dir / name), "--yes")
        assert failed.exit_code != 0 and words in str(failed.exception)
    assert (after_an_outage.state_dir / "executor.db").read_bytes() == before


def test_dead_letters_are_listed_sent_again_or_put_to_rest(run: Run, after_an_outage: Places) -> None:
    (letter,) = json.loads(run("letters", "--json").output)["letters"]
    name = letter["delivery"]["id"]
    assert "37 keys parked" in run("letters").output and "400 Invalid Form Body" in run("letters").output
    assert run("resend").exit_code != 0 and "say which letters" in str(run("resend").exception)
    assert "no dead letter of that name" in str(run("resend", "dlv-unknown").exception)
    assert run("resend", name).output == "1 wait to be sent again; the leading node sends them\n"
    assert run("letters").output == "no dead letters\n" and run("resend", "--all").output == "no dead letters\n"


def test_a_scan_without_a_node_is_refused_with_what_to_do(run: Run) -> None:
    failed = run("run")
    assert failed.exit_code != 0 and "no node runs" in str(failed.exception)


def test_on_postgres_backups_are_left_to_its_own_tools(run: Run, places: Places) -> None:
    (places.config_dir / "executor.json").write_text('{"database_url": "postgresql://x@127.0.0.1:1/x"}')
    for words in (("backup",), ("restore", "x.db", "--yes")):
        assert "pg_dump" in str(run(*words).exception)
