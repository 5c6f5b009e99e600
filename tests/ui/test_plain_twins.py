"""Every numbered screen without a terminal: the same rows as text and as data, now and as it was."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from seed import seed

from executor_tui.config.places import Places
from executor_tui.domain.clock import SystemClock
from executor_tui.store.store import Store, default_url
from executor_tui.ui.registry import SECTIONS

SEEN = {
    "fleet": "coder-001", "hydra": "google/default", "projects": "invoice", "logs": "coder-001", "approvals": "claude-opus",
    "recovery": "power loss", "infra": "run-invoices", "pulse": "SPEND", "settings": "fleet.pause",
}  # fmt: skip


@pytest.fixture
async def store(places: Places) -> AsyncIterator[Store]:
    found = await Store.open(default_url(places.state_dir), SystemClock())
    await seed(found)
    yield found
    await found.close()


def executor(places: Places, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "executor_tui.cli.main", *args, "--config", str(places.config_dir), "--state", str(places.state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_no_screen_is_without_its_twin() -> None:
    from executor_tui.cli.show import NAMES

    assert set(NAMES) == {section.name for section in SECTIONS} == set(SEEN)


async def in_process(places: Places, *args: str) -> str:
    """The command's output, without another interpreter for each screen."""
    import asyncio

    from click.testing import CliRunner

    from executor_tui.cli.group import executor as group

    directories = ["--config", str(places.config_dir), "--state", str(places.state_dir)]
    done = await asyncio.to_thread(lambda: CliRunner().invoke(group, [*args, *directories], catch_exceptions=False))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", list(SEEN))
async def test_every_screen_prints_as_a_table_and_as_one_document(places: Places, store: Store, name: str) -> None:
    text = await in_process(places, "show", name)
    assert SEEN[name] in text and "\x1b" not in text
    document = json.loads(await in_process(places, "show", name, "--json"))
    assert document["screen"] == name and document["view"]
    assert "fingerprint" not in json.dumps(document)


async def test_a_screen_prints_as_it_was(places: Places, store: Store) -> None:
    document = json.loads(await in_process(places, "show", "approvals", "--at", "-30d", "--json"))
    assert document["at"] is not None and document["view"] == {"approvals": []}


async def test_logs_are_narrowed_by_level_agent_and_words(places: Places, store: Store) -> None:
    everything = (await in_process(places, "logs", "--level", "debug", "-n", "1000")).splitlines()
    errors = (await in_process(places, "logs", "--level", "error")).splitlines()
    assert 0 < len(errors) < len(everything)
    assert all(" error " in line for line in errors)
    one = [json.loads(line) for line in (await in_process(places, "logs", "--agent", "coder-001", "--json")).splitlines()]
    assert one and {event["agent_id"] for event in one} == {"coder-001"}
    without = (await in_process(places, "logs", "--level", "debug", "-n", "1000", "--find", "!coder")).splitlines()
    assert without and not any("coder" in line.lower() for line in without)


def test_following_the_past_makes_no_sense(places: Places) -> None:
    done = executor(places, "logs", "-f", "--at", "-1h")
    assert done.returncode == 2 and "take one of them" in done.stderr


async def test_watch_says_what_the_attention_line_says(places: Places, store: Store) -> None:
    done = executor(places, "watch", "--once", "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    assert document["line"].startswith("▲ approve?") and document["approvals"] == len(await store.approvals.pending())
