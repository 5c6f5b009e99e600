"""Where a project's code lives: found again if it is there, made if it is not."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from executor_tui.config.load import Config
from executor_tui.config.places import Places
from executor_tui.core.pipeline.parts import ProjectFailedError
from executor_tui.core.pipeline.requests import origin_of
from executor_tui.core.pipeline.travel import Travel
from executor_tui.domain.project import Project, Where
from executor_tui.store.store import Store
from executor_tui.workspaces.base import Workspace
from executor_tui.workspaces.errors import GitError, UnreachableError
from executor_tui.workspaces.local import LocalWorkspace

if TYPE_CHECKING:
    from executor_tui.workspaces.lxc import LxcWorkspace


class Grounds:
    """Opens workspaces: under `<state>/projects/<id>/repo` on this machine, or in a container."""

    def __init__(self, places: Places, store: Store, config: Callable[[], Config]) -> None:
        self._places, self._store, self._config = places, store, config
        self._travel = Travel(store)
        self._remote: dict[str, LxcWorkspace] = {}

    async def open(self, project: Project) -> Workspace:
        """The project's workspace. Raises WorkspaceError, ProjectFailedError."""
        if project.where is Where.LXC:
            return await self._container(project)
        root = self.root_of(project)
        unsafe = project.where is Where.UNSAFE_LOCAL
        if root.exists() or await self._arrives(project, root):
            found = await self._found(project, root, unsafe)
            if found is not None:
                await self._say_where(project, root)
                return found
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        return await self._make(project, root, unsafe)

    def root_of(self, project: Project) -> Path:
        """The tree of a project that lives on this machine."""
        return self._places.projects_dir / project.id / "repo"

    async def _arrives(self, project: Project, root: Path) -> bool:
        """Unpack a project that was begun on another machine; False for one that was not begun. Raises ProjectFailedError."""
        if not (project.workflow_id and project.head):
            return False
        if not await self._travel.unpack(project, root):
            raise self._not_here(project, root)
        return True

    async def _say_where(self, project: Project, root: Path) -> None:
        """The row names the machine's own place, also when the one who unpacked it here died before it could say so."""
        if project.workflow_id and project.repo_path and project.repo_path != str(root):
            await self._store.projects.update(project.id, repo_path=str(root))

    def _not_here(self, project: Project, root: Path) -> ProjectFailedError:
        hint = f"build it again from the beginning: executor project fork {project.id} --from 0"
        return ProjectFailedError(f"the workspace of project {project.id} is not on this machine ({root})", hint=hint)

    async def _make(self, project: Project, root: Path, unsafe: bool) -> Workspace:
        source, branch, base = await self._source(project)
        if source is None:
            return await LocalWorkspace.create(root, unsafe_local=unsafe)
        return await LocalWorkspace.from_repo(source, branch, root, base=base, unsafe_local=unsafe)

    async def _source(self, project: Project) -> tuple[Path | None, str, str | None]:
        """The repository a project begins from, its branch there and the commit: a fork's origin, the user's, or none."""
        origin_id, _ = origin_of(project)
        if origin_id and project.head:
            origin = await self._store.projects.get(origin_id)
            place = Path(origin.repo_path) if origin.repo_path else self.root_of(origin)
            if not place.exists() and await self._travel.unpack(origin, self.root_of(origin)):
                place = self.root_of(origin)
            return place, project.branch, project.head
        return (Path(project.source_repo), project.branch, None) if project.source_repo else (None, "", None)

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
        """The tree in the project's container; its mirror here holds every commit, whatever becomes of the container."""
        # Late: an SSH library takes half a second to load, and most nodes have no project in a container.
        from executor_tui.core.containers.room import Room
        from executor_tui.workspaces.lxc import ClonedContainers, LxcWorkspace

        mirror, started = self.root_of(project), bool(project.workflow_id and project.head)
        if not mirror.exists():
            await self._arrives(project, mirror)
        room = Room(project, self._store, self._places, self._config)
        target, directory = await room.ready(), self._config().executor.containers.directory
        copies = ClonedContainers(room, directory)
        mirror.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if mirror.exists():
            try:
                workspace = await LxcWorkspace.open(target, directory, mirror, fresh_places=copies)
            except GitError:
                if started:
                    raise
                await LocalWorkspace(mirror, None).destroy()
                return await self._container(project)
        else:
            source, branch, base = await self._source(project)
            if source is None:
                workspace = await LxcWorkspace.create(target, directory, mirror, fresh_places=copies)
            else:
                workspace = await LxcWorkspace.from_repo(source, branch, target, directory, mirror, base=base, fresh_places=copies)
        self._remote[project.id] = workspace
        return workspace

    async def mirror(self, project: Project) -> Workspace:
        """The mirror alone of a project in a container, made if it is not there: a fork begins with it, before it has a container."""
        root = self.root_of(project)
        if root.exists():
            return await LocalWorkspace.open(root, unsafe_local=True)  # nothing is run in a mirror
        source, branch, base = await self._source(project)
        assert source is not None, "a fork has an origin"
        root.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        return await LocalWorkspace.from_repo(source, branch, root, base=base, unsafe_local=True)

    async def let_go(self, project_id: str) -> bool:
        """Close the way to a project's container, if it has one; says whether it had. The tree stays where it is."""
        workspace = self._remote.pop(project_id, None)
        if workspace is None:
            return False
        with suppress(UnreachableError):
            await workspace.close()
        return True

    async def close(self) -> None:
        """Close the way to every container."""
        for project_id in list(self._remote):
            await self.let_go(project_id)

    async def sweep(self) -> None:
        """Remove test copies that a crash left behind. Only before any project runs."""
        if self._places.projects_dir.is_dir():
            for folder in sorted(self._places.projects_dir.iterdir()):
                await LocalWorkspace.sweep(folder)
