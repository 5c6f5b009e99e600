"""Everything secret stays secret: after a whole project, with the node killed once, no key is found anywhere it could be read."""

import asyncio
from pathlib import Path

import pytest

from executor_tui.config.places import Places
from executor_tui.domain.project import Project
from executor_tui.lab.world import GOALS, World
from executor_tui.store.store import Store
from tests.e2e.conftest import NodeProcess, approve_everything, final, state_of, until


def processes_holding(secrets: list[bytes]) -> list[str]:
    """Command lines and environments, of every process but this one, that hold a secret."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or folder.name == str(Path("/proc/self").resolve().name):
            continue
        for name in ("cmdline", "environ"):
            try:
                data = (folder / name).read_bytes()
            except OSError:
                continue  # gone meanwhile, or not ours to read
            found += [f"{folder.name}/{name}" for secret in secrets if secret in data]
    return found


@pytest.mark.timeout(240)
async def test_no_key_is_found_in_files_databases_logs_processes_or_repositories(
    places: Places, shared: Store, node: NodeProcess, world: World
) -> None:
    secrets = [key.encode() for keys in world.upstreams.keys.values() for key in keys] + [world.router_password.encode()]
    await node.start()
    operator = asyncio.create_task(approve_everything(shared))
    await shared.projects.create(Project("prj-1", GOALS[0]))

    async def working() -> bool:
        return len(await shared.steps.of("prj-1")) >= 2

    await until(shared, working)
    assert processes_holding(secrets) == []
    await node.kill()
    await node.start()
    project = await final(shared, "prj-1")
    operator.cancel()
    assert project.status == "delivered", project.detail
    await node.stop()
    found = [str(p) for p in state_of(places) for secret in secrets if secret in p.read_bytes()]
    assert found == []
    assert sum(p.stat().st_size for p in state_of(places)) > 100_000, "there was hardly anything to search"
