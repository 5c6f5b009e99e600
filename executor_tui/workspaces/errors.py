"""What a workspace refuses or fails at. Each message is one line, fit to be shown to a model or an operator as it is."""

from executor_tui.domain.errors import ExecutorError
from executor_tui.workspaces.inside import faults


class WorkspaceError(ExecutorError):
    """Base of everything a workspace raises on purpose."""


class PathRefusedError(WorkspaceError):
    """A path that is absolute, climbs, leads out through a link, is in `.git`, or names something that is no file."""


class FileMissingError(WorkspaceError):
    """There is no such file."""


class BinaryFileError(WorkspaceError):
    """The file is not text."""


class TooLargeError(WorkspaceError):
    """More than is read, written or committed at once."""


class EditRefusedError(WorkspaceError):
    """The text to replace is missing, ambiguous, or the same as the new one."""


class PatternRefusedError(WorkspaceError):
    """Not a regular expression, or one that takes too long."""


class CommandRefusedError(WorkspaceError):
    """A command that cannot be started."""


class GitError(WorkspaceError):
    """Git refused or failed."""


class RepositoryDamagedError(GitError):
    """The workspace's `.git` is gone or was replaced."""


class DeliveryRefusedError(GitError):
    """The branch cannot be delivered to the source repository as it is."""


class SandboxUnavailableError(WorkspaceError):
    """Commands cannot be confined here, so none is run. The hint says what to mend."""

    exit_code = 2


class UnreachableError(WorkspaceError):
    """The machine that holds the workspace does not answer, or is not the one it claims to be."""


_BY_CODE: dict[str, type[WorkspaceError]] = {
    faults.PATH: PathRefusedError,
    faults.NOT_FOUND: FileMissingError,
    faults.BINARY: BinaryFileError,
    faults.TOO_LARGE: TooLargeError,
    faults.EDIT: EditRefusedError,
    faults.PATTERN: PatternRefusedError,
    faults.COMMAND: CommandRefusedError,
    faults.GIT: GitError,
    faults.DAMAGED: RepositoryDamagedError,
    faults.DELIVERY: DeliveryRefusedError,
    faults.SANDBOX: SandboxUnavailableError,
}


def error_of(code: str, message: str) -> WorkspaceError:
    """The error for a fault's code; an unknown code gives the base class."""
    return _BY_CODE.get(code, WorkspaceError)(faults.shown(message, 500))
