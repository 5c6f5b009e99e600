"""What the console remembers between sessions, in one small file of the state directory: the theme, and when each screen was last seen."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from executor_tui.config.places import write_atomically


@dataclass
class Memory:
    """Loaded before the first frame; a missing or damaged file is an empty memory."""

    path: Path
    theme: str = ""
    looked: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Memory":
        memory = cls(path)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            memory.theme = str(data.get("theme", ""))
            memory.looked = {str(k): datetime.fromisoformat(v) for k, v in dict(data.get("looked", {})).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return cls(path)
        return memory

    def save(self) -> None:
        """Failing to remember is no reason to fail."""
        data = {"theme": self.theme, "looked": {k: v.isoformat() for k, v in self.looked.items()}}
        try:
            write_atomically(self.path, json.dumps(data))
        except OSError:
            return
