"""Where a project's code lives: found again if it is there, made if it is not."""

import importlib
from pathlib import Path

from executor_tui.config.places import Places
from executor_tui.core.pipeline.parts import ProjectFailedError
from executor_tui.core.pipeline.requests import origin_of
from executor_tui.domain.project import Project, Where
from executor_tui.store.store import Store
from executor_tui.workspaces.base import Workspace
from executor_tui.workspaces.errors import GitError
from executor_tui.workspaces.local import LocalWorkspace

_LXC = "executor_tui.core.containers"
"""The module with `async def open_container_workspace(project, store, places) -> Workspace`."""


class Grounds:
    """Opens workspaces: under `<state>/projects/<id>/repo` on this machine, or in a container."""

    def __init__(self, places: Places, store: Store) -> None:
        self._places, self._store = places, store

    async def open(self, project: Project) -> Workspace:
        """The project's workspace. Raises WorkspaceError, ProjectFailedError."""
        if project.where is Where.LXC:
            return await self._container(project)
        root = self.root_of(project)
        unsafe = project.where is Where.UNSAFE_LOCAL
        if root.exists():
            found = await self._found(project, root, unsafe)
            if found is not None:
                return found
        elif project.workflow_id and project.head:
            hint = f"build it again from the beginning: executor project fork {project.id} --from 0"
            raise ProjectFailedError(f"the workspace of project {project.id} is not on this machine ({root})", hint=hint)
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        return await self._make(project, root, unsafe)

    def root_of(self, project: Project) -> Path:
        """The tree of a project that lives on this machine."""
        return self._places.projects_dir / project.id / "repo"

    async def _make(self, project: Project, root: Path, unsafe: bool) -> Workspace:
        origin_id, _ = origin_of(project)
        if origin_id and project.head:
            origin = await self._store.projects.get(origin_id)
            source = Path(origin.repo_path) if origin.repo_path else self.root_of(origin)
            return await LocalWorkspace.from_repo(source, project.branch, root, base=project.head, unsafe_local=unsafe)
        if project.source_repo:
            return await LocalWorkspace.from_repo(Path(project.source_repo), project.branch, root, unsafe_local=unsafe)
        return await LocalWorkspace.create(root, unsafe_local=unsafe)

    async def _found(self, project: Project, root: Path, unsafe: bool) -> Workspace | None:
        """The tree as it was left; None for one that a crash left half made, which is removed, as nothing was built on it yet."""
        try:
            workspace = await LocalWorkspace.open(root, unsafe_local=unsafe)
            await workspace.head()
        except GitError:
            if project.workflow_id:
                raise
            await LocalWorkspace(root, None).destroy()
            return None
        return workspace

    async def _container(self, project: Project) -> Workspace:
        try:
            module = importlib.import_module(_LXC)
        except ModuleNotFoundError as exc:
            raise ProjectFailedError("projects in containers are not available in this version", hint="use --where local") from exc
        workspace: Workspace = await module.open_container_workspace(project, self._store, self._places)
        return workspace

    async def sweep(self) -> None:
        """Remove test copies that a crash left behind. Only before any project runs."""
        if self._places.projects_dir.is_dir():
            for folder in sorted(self._places.projects_dir.iterdir()):
                await LocalWorkspace.sweep(folder)
