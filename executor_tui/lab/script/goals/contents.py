"""A table of contents for Markdown files."""

from executor_tui.lab.script.goal import Goal

_PRD = """# Table of contents for Markdown: requirements

## Goal
A Python program that reads a Markdown file and prints a table of contents of its headings.

## Acceptance criteria
- AC-1 `# One` then `## Two` gives `- [One](#one)` and, two spaces further in, `- [Two](#two)`.
- AC-2 Link targets are lower case, with spaces as hyphens and other punctuation left out: `Hello, World!` gives `#hello-world`.
- AC-3 Two headings with the same text get different targets: `#notes`, `#notes-1`.
- AC-4 Lines that look like headings inside fenced code are no headings.
- AC-5 A file without headings gives no output and exit code 0; a file that is missing gives exit code 2 and one line on stderr.

## Assumptions
- Only headings with `#` signs count, as most files use them.

## Out of scope
Writing the table into the file, underlined headings.
"""

_DESIGN = """# Table of contents for Markdown: design

One pass over the lines finds the headings and skips fenced code; a second step turns them into links.

```mermaid
flowchart TD
  file[Markdown text] --> headings[headings: level, text]
  headings --> slugs[a target for each, made unique]
  slugs --> lines[indented list]
```

| file | purpose |
|---|---|
| `toc.py` | `headings(text) -> list[tuple[int, str]]`, `slug(text) -> str`, `table(text) -> str`, `main(argv) -> int` |
| `tests/test_toc.py` | one test for each criterion |

```executor
{"test_command": "{test_command}", "files": ["toc.py", "tests/test_toc.py"]}
```
"""

_CODE = '''"""Print a table of contents of a Markdown file: python3 toc.py FILE."""

import re
import sys

HEADING = re.compile(r"^ {0,3}(#{1,6})[ \\t]+(.*?)(?:[ \\t]+#*)?[ \\t]*$")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def headings(text):
    """(level, text) of every heading outside fenced code."""
    found, fence = [], ""
    for line in text.splitlines():
        mark = FENCE.match(line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and mark.group(1).startswith(fence):
            fence = ""
        elif not fence:
            heading = HEADING.match(line)
            if heading and heading.group(2):
                found.append((len(heading.group(1)), heading.group(2)))
    return found


def slug(text):
    """A heading's text as a link target."""
    kept = "".join(c for c in text.lower() if c.isalnum() or c in " -_")
    return kept.strip().replace(" ", "-")


def table(text):
    """The table of contents, one line a heading."""
    used, lines = {}, []
    for level, title in headings(text):
        base = slug(title)
        number = used.get(base, 0)
        used[base] = number + 1
        target = base if number == 0 else f"{base}-{number}"
        lines.append(f"{'  ' * (level - 1)}- [{title}](#{target})")
    return "\\n".join(lines)


def main(argv):
    """Run the command; returns its exit code."""
    if len(argv) != 1:
        print("usage: toc.py FILE", file=sys.stderr)
        return 2
    try:
        with open(argv[0], encoding="utf-8") as file:
            result = table(file.read())
    except (OSError, UnicodeDecodeError) as error:
        print(f"{argv[0]}: {error}", file=sys.stderr)
        return 2
    if result:
        print(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''

_TESTS = """import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from toc import slug, table


class TocTest(unittest.TestCase):
    def test_ac1_levels_are_indented(self):
        self.assertEqual(table("# One\\n\\n## Two\\n"), "- [One](#one)\\n  - [Two](#two)")

    def test_ac2_targets_have_no_punctuation(self):
        self.assertEqual(slug("Hello, World!"), "hello-world")

    def test_ac3_equal_headings_get_different_targets(self):
        self.assertEqual(table("# Notes\\n# Notes\\n"), "- [Notes](#notes)\\n- [Notes](#notes-1)")

    def test_ac4_code_is_not_read(self):
        self.assertEqual(table("# Real\\n```sh\\n# not a heading\\n```\\n"), "- [Real](#real)")

    def test_ac5_an_empty_file_and_a_missing_one(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "empty.md")
            path.write_text("no headings here\\n", encoding="utf-8")
            done = subprocess.run([sys.executable, "toc.py", str(path)], capture_output=True, text=True, timeout=30)
            self.assertEqual((done.stdout, done.returncode), ("", 0))
        done = subprocess.run([sys.executable, "toc.py", "missing.md"], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("missing.md", done.stderr)


if __name__ == "__main__":
    unittest.main()
"""

GOAL = Goal(
    "A table of contents generator for Markdown files in Python, with tests",
    _PRD,
    _DESIGN,
    {"toc.py": _CODE, "tests/test_toc.py": _TESTS},
)
