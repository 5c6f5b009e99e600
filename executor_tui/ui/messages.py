"""What workers and the store's thread tell the screens. Named in the past tense: each says what happened."""

from typing import Any

from textual.message import Message

from executor_tui.domain.errors import ExecutorError


class StoreOpened(Message):
    """The store can be read; the settings are loaded."""


class StoreFailed(Message):
    """The store or the configuration cannot be used now; it is tried again."""

    def __init__(self, error: ExecutorError) -> None:
        super().__init__()
        self.error = error


class TopicsChanged(Message):
    """The change feed spoke."""

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self.topics = topics


class SettingsChanged(Message):
    """Good settings are in force (`problem` empty), or a file was changed into something unusable and the old ones stay."""

    def __init__(self, files: tuple[str, ...], problem: str = "") -> None:
        super().__init__()
        self.files, self.problem = files, problem


class DataLoaded(Message):
    """A screen's data arrived."""

    def __init__(self, view: Any, took_s: float) -> None:
        super().__init__()
        self.view, self.took_s = view, took_s


class DataFailed(Message):
    """A screen's data could not be read."""

    def __init__(self, error: ExecutorError, took_s: float) -> None:
        super().__init__()
        self.error, self.took_s = error, took_s


class ChromeLoaded(Message):
    """What every screen shows arrived: the node, the operators, what waits."""

    def __init__(self, chrome: Any) -> None:
        super().__init__()
        self.chrome = chrome
