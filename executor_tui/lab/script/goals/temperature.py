"""A command that converts temperatures."""

from executor_tui.lab.script.goal import Goal

_PRD = """# Temperature converter: requirements

## Goal
A command line program that converts a temperature between Celsius, Fahrenheit and Kelvin.

## Acceptance criteria
- AC-1 `python3 convert.py 100 C F` prints `212.00 F` and exits 0.
- AC-2 `python3 convert.py 0 C K` prints `273.15 K`; `python3 convert.py 32 F C` prints `0.00 C`.
- AC-3 Unit names may be given in lower case.
- AC-4 A unit that is none of C, F, K: exit code 2 and one line on stderr that names it.
- AC-5 A value that is no number: exit code 2 and one line on stderr that names it.
- AC-6 A temperature below absolute zero: exit code 2 and one line on stderr that says so.

## Assumptions
- Results are rounded to two decimals.

## Out of scope
Other units, files of values, localisation.
"""

_DESIGN = """# Temperature converter: design

Every value goes through Kelvin: one table of functions to Kelvin, one of functions back. The command is a thin layer over `convert`.

```mermaid
flowchart LR
  args[VALUE FROM TO] --> main
  main --> convert
  convert --> tokelvin[to Kelvin] --> fromkelvin[from Kelvin] --> out[line on stdout]
  main -->|ValueError| err[line on stderr, exit 2]
```

| file | purpose |
|---|---|
| `convert.py` | `convert(value: float, source: str, target: str) -> float` (raises ValueError), `main(argv) -> int` |
| `tests/test_convert.py` | the function for AC-2, 3 and 6; the command in a process of its own for AC-1, 4 and 5 |

```executor
{"test_command": "{test_command}", "files": ["convert.py", "tests/test_convert.py"]}
```
"""

_CODE = '''"""Convert temperatures: python3 convert.py VALUE FROM TO, units C, F and K."""

import sys

TO_KELVIN = {"C": lambda c: c + 273.15, "F": lambda f: (f + 459.67) * 5 / 9, "K": lambda k: k}
FROM_KELVIN = {"C": lambda k: k - 273.15, "F": lambda k: k * 9 / 5 - 459.67, "K": lambda k: k}


def convert(value, source, target):
    """`value` of unit `source` in unit `target`. Raises ValueError for an unknown unit and for less than absolute zero."""
    source, target = source.upper(), target.upper()
    for unit in (source, target):
        if unit not in TO_KELVIN:
            raise ValueError(f"unknown unit {unit!r}; use C, F or K")
    kelvin = TO_KELVIN[source](value)
    if kelvin < -1e-9:
        raise ValueError(f"{value:g} {source} is below absolute zero")
    return FROM_KELVIN[target](kelvin)


def main(argv):
    """Run the command; returns its exit code."""
    if len(argv) != 3:
        print("usage: convert.py VALUE FROM TO", file=sys.stderr)
        return 2
    text, source, target = argv
    try:
        value = float(text)
    except ValueError:
        print(f"not a number: {text!r}", file=sys.stderr)
        return 2
    try:
        result = convert(value, source, target)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{result:.2f} {target.upper()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''

_TESTS = """import subprocess
import sys
import unittest

from convert import convert


def run(*words):
    return subprocess.run([sys.executable, "convert.py", *words], capture_output=True, text=True, timeout=30)


class ConvertTest(unittest.TestCase):
    def test_ac1_the_command_prints_the_result(self):
        done = run("100", "C", "F")
        self.assertEqual((done.stdout, done.returncode), ("212.00 F\\n", 0))

    def test_ac2_every_pair_of_units(self):
        self.assertAlmostEqual(convert(0, "C", "K"), 273.15)
        self.assertAlmostEqual(convert(32, "F", "C"), 0.0)
        self.assertAlmostEqual(convert(300, "K", "F"), 80.33)

    def test_ac3_lower_case_units(self):
        self.assertAlmostEqual(convert(10, "c", "f"), 50.0)

    def test_ac4_an_unknown_unit_is_named(self):
        done = run("1", "C", "X")
        self.assertEqual(done.returncode, 2)
        self.assertIn("X", done.stderr)

    def test_ac5_a_value_that_is_no_number_is_named(self):
        done = run("warm", "C", "F")
        self.assertEqual(done.returncode, 2)
        self.assertIn("warm", done.stderr)

    def test_ac6_below_absolute_zero_is_refused(self):
        with self.assertRaisesRegex(ValueError, "absolute zero"):
            convert(-300, "C", "K")


if __name__ == "__main__":
    unittest.main()
"""

GOAL = Goal(
    "A command line temperature converter in Python, with tests",
    _PRD,
    _DESIGN,
    {"convert.py": _CODE, "tests/test_convert.py": _TESTS},
)
