"""What the script has to say for one goal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PYTEST, UNITTEST = "python3 -m pytest -q", "python3 -m unittest discover -s tests"


@dataclass(frozen=True)
class Goal:
    """One goal and everybody's part in it.

    `design` holds `{test_command}`. `files` is what the Coder writes first. `flaw` is (path, right text, wrong text): the first
    round has the wrong one, and QA's `review` tests bring it to light. With `critical` the Architect asks for a critical model first, for
    that reason.
    """

    text: str
    prd: str
    design: str
    files: Mapping[str, str]
    review: Mapping[str, str] = field(default_factory=dict)
    flaw: tuple[str, str, str] | None = None
    critical: str = ""
    question: str = ""
    """What the PM asks the web first, where it can."""

    def first_files(self) -> dict[str, str]:
        """The files of the first round, with the flaw in them where there is one."""
        files = dict(self.files)
        if self.flaw is not None:
            path, right, wrong = self.flaw
            assert files[path].count(right) == 1, f"the flaw of {self.text!r} is not where it should be"
            files[path] = files[path].replace(right, wrong)
        return files
