"""What can be made to go wrong, for tests and for showing it in the lab."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """All off at first. Commands are named by their whole word, `/ip/firewall/filter/add`.

    `cut_before_write` / `cut_after_write` drop the connection at the Nth changing command from now (1 is the next): before it is done, or
    after it is done and before the reply. `cut_before` / `cut_after` do the same at a named command, once.
    """

    refuse_connections: bool = False
    cut_before_write: int = 0
    cut_after_write: int = 0
    cut_before: set[str] = field(default_factory=set)
    cut_after: set[str] = field(default_factory=set)
    delay_s: dict[str, float] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    trap_extra: Mapping[str, str] = field(default_factory=dict)
    fatal: dict[str, str] = field(default_factory=dict)
    no_empty: bool = False
    """Leave `!empty` out, for clients that do not know it."""
    ignore: set[str] = field(default_factory=set)
    """Commands acknowledged without being carried out."""

    def take_cut_before(self, word: str, *, is_write: bool) -> bool:
        """Whether the connection drops before this command. Counts it."""
        if word in self.cut_before:
            self.cut_before.discard(word)
            return True
        if is_write and self.cut_before_write:
            self.cut_before_write -= 1
            return self.cut_before_write == 0
        return False

    def take_cut_after(self, word: str, *, is_write: bool) -> bool:
        """Whether the connection drops after this command. Counts it."""
        if word in self.cut_after:
            self.cut_after.discard(word)
            return True
        if is_write and self.cut_after_write:
            self.cut_after_write -= 1
            return self.cut_after_write == 0
        return False
