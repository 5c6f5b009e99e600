"""Safe mode: changes are undone when the session that took it goes away.

From the vendor's manual: changes of every session count while it is held; when there are more than the history keeps (about 100), it
ends by itself and nothing is undone. Over the API since 7.18.
"""

from executor_tui.lab.routeros.errors import failure, no_such_command
from executor_tui.lab.routeros.state import Image, Router


class SafeMode:
    """At most one session holds it."""

    def __init__(self, router: Router, max_actions: int = 100) -> None:
        self._router = router
        self._max_actions = max_actions
        self._holder: int | None = None
        self._image: Image | None = None
        self._actions = 0

    @property
    def holder(self) -> int | None:
        """The number of the session that holds it."""
        return self._holder

    def require(self) -> None:
        """Raises the trap of a router too old to have the menu."""
        if self._router.version < (7, 18):
            raise no_such_command()

    def take(self, session: int) -> None:
        if self._holder is not None:
            raise failure("safe mode is already taken")
        self._holder, self._image, self._actions = session, self._router.image(), 0
        self._router.log("system,info", "safe mode taken")

    def release(self, session: int) -> None:
        """Keep the changes. Any session may do it, which is how a stale hold is cleared."""
        if self._holder is None:
            return
        self._end()
        self._router.log("system,info", "safe mode released")

    def unroll(self, session: int) -> None:
        """Undo the changes now and leave safe mode."""
        if self._holder is not None:
            self._roll_back("safe mode unrolled")

    def session_gone(self, session: int) -> None:
        """The connection of a session ended, for whatever reason."""
        if self._holder == session:
            self._roll_back("safe mode unrolled: session lost")

    def count(self) -> None:
        """One more changing action happened."""
        if self._holder is None:
            return
        self._actions += 1
        if self._actions > self._max_actions:
            self._end()
            self._router.log("system,warning", "safe mode ended: too many actions")

    def forget(self) -> None:
        """A reboot ends it; what the configuration then is, the reboot decided."""
        self._end()

    def _roll_back(self, message: str) -> None:
        image = self._image
        self._end()
        if image is not None and self._router.restore(image):
            message += ", changes undone"
        self._router.log("system,info", message)

    def _end(self) -> None:
        self._holder, self._image, self._actions = None, None, 0
