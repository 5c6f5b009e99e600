"""An LRU cache whose entries expire. Its first version is wrong: reading an entry does not make it recent."""

from executor_tui.lab.script.goal import Goal
from executor_tui.lab.script.searching import QUESTION

_PRD = """# Cache with a limit and a time to live: requirements

## Goal
A Python module `ttl_cache` with a class `TtlCache` that keeps at most a given number of entries, each for at most a given time.

## Acceptance criteria
- AC-1 `TtlCache(2, 10)`: after `put("a", 1)`, `get("a")` returns 1; `get("x")` returns None; `get("x", 0)` returns 0.
- AC-2 With room for two, `put` of a third key removes the entry that was used least recently; `get` counts as use.
- AC-3 An entry older than its time to live is not returned and does not count in `len(cache)`.
- AC-4 `put` of a known key replaces its value and starts its time anew.
- AC-5 A capacity below 1 or a time to live of 0 or less raises ValueError with a message that names the value.
- AC-6 `delete(key)` removes an entry and says whether there was one.

## Assumptions
- Time comes from a function given to the class (default `time.monotonic`), so that tests need not wait.
- One thread uses a cache; locking is left to the caller.

## Out of scope
Persistence, size in bytes, statistics.
"""

_DESIGN = """# Cache with a limit and a time to live: design

An ordered dictionary holds the entries from the least to the most recently used. Expired entries are dropped when they are met, and all of
them before counting or evicting, so that a dead entry never pushes out a living one.

```mermaid
flowchart LR
  user[caller] -->|put, get, delete| cache[TtlCache]
  cache --> order[(OrderedDict: key, value, expires at)]
  cache --> clock[clock function]
```

| file | purpose |
|---|---|
| `ttl_cache.py` | `class TtlCache(capacity: int, ttl_s: float, clock=time.monotonic)` with `put`, `get`, `delete`, `len()` |
| `tests/test_ttl_cache.py` | one test or more for each criterion, with a clock that the test moves |

Errors: wrong arguments raise ValueError at construction; a missing key is no error.

```executor
{"test_command": "{test_command}", "files": ["ttl_cache.py", "tests/test_ttl_cache.py"]}
```
"""

_CODE = '''"""A cache that holds at most `capacity` entries, each for at most `ttl_s` seconds."""

import time
from collections import OrderedDict


class TtlCache:
    """The least recently used entry goes first when there is no room. `clock` returns seconds and never goes back."""

    def __init__(self, capacity, ttl_s, clock=time.monotonic):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        if ttl_s <= 0:
            raise ValueError(f"ttl_s must be more than 0, not {ttl_s}")
        self._capacity = capacity
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries = OrderedDict()

    def put(self, key, value):
        """Store a value; its time to live starts now."""
        self._drop_expired()
        self._entries[key] = (value, self._clock() + self._ttl_s)
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def get(self, key, default=None):
        """The value of a living entry, which is then the most recently used; else `default`."""
        entry = self._entries.get(key)
        if entry is None:
            return default
        value, expires_at = entry
        if expires_at <= self._clock():
            del self._entries[key]
            return default
        self._entries.move_to_end(key)
        return value

    def delete(self, key):
        """Remove an entry; says whether there was one."""
        self._drop_expired()
        return self._entries.pop(key, None) is not None

    def __len__(self):
        self._drop_expired()
        return len(self._entries)

    def _drop_expired(self):
        now = self._clock()
        for key in [k for k, (_, expires_at) in self._entries.items() if expires_at <= now]:
            del self._entries[key]
'''

_TESTS = """import unittest

from ttl_cache import TtlCache


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class TtlCacheTest(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()
        self.cache = TtlCache(2, 10, self.clock)

    def test_ac1_a_stored_value_comes_back_and_a_missing_key_gives_the_default(self):
        self.cache.put("a", 1)
        self.assertEqual(self.cache.get("a"), 1)
        self.assertIsNone(self.cache.get("x"))
        self.assertEqual(self.cache.get("x", 0), 0)

    def test_ac2_the_oldest_entry_makes_room_for_a_third(self):
        self.cache.put("a", 1)
        self.cache.put("b", 2)
        self.cache.put("c", 3)
        self.assertIsNone(self.cache.get("a"))
        self.assertEqual((self.cache.get("b"), self.cache.get("c")), (2, 3))

    def test_ac3_an_entry_past_its_time_is_gone(self):
        self.cache.put("a", 1)
        self.clock.now += 10
        self.assertEqual(len(self.cache), 0)
        self.assertIsNone(self.cache.get("a"))

    def test_ac4_storing_again_replaces_the_value_and_starts_the_time_anew(self):
        self.cache.put("a", 1)
        self.clock.now += 9
        self.cache.put("a", 2)
        self.clock.now += 9
        self.assertEqual(self.cache.get("a"), 2)

    def test_ac5_arguments_that_make_no_sense_are_refused(self):
        with self.assertRaisesRegex(ValueError, "0"):
            TtlCache(0, 10)
        with self.assertRaisesRegex(ValueError, "-1"):
            TtlCache(1, -1)

    def test_ac6_delete_says_whether_there_was_an_entry(self):
        self.cache.put("a", 1)
        self.assertTrue(self.cache.delete("a"))
        self.assertFalse(self.cache.delete("a"))


if __name__ == "__main__":
    unittest.main()
"""

_REVIEW = """import unittest

from ttl_cache import TtlCache


class ReviewTest(unittest.TestCase):
    def test_ac2_reading_an_entry_counts_as_use(self):
        cache = TtlCache(2, 10, lambda: 0.0)
        cache.put("a", 1)
        cache.put("b", 2)
        cache.get("a")
        cache.put("c", 3)
        self.assertEqual(cache.get("a"), 1, "a was read last and must stay")
        self.assertIsNone(cache.get("b"), "b was used least recently and must go")

    def test_ac3_an_expired_entry_does_not_push_out_a_living_one(self):
        now = [0.0]
        cache = TtlCache(2, 10, lambda: now[0])
        cache.put("old", 1)
        now[0] = 5.0
        cache.put("young", 2)
        now[0] = 11.0
        cache.put("new", 3)
        self.assertEqual((cache.get("young"), cache.get("new")), (2, 3))


if __name__ == "__main__":
    unittest.main()
"""

_RIGHT = """            return default
        self._entries.move_to_end(key)
        return value
"""
_WRONG = """            return default
        return value
"""

GOAL = Goal(
    "A Python LRU cache with a time to live per entry, and its tests",
    _PRD,
    _DESIGN,
    {"ttl_cache.py": _CODE, "tests/test_ttl_cache.py": _TESTS},
    {"tests/test_review.py": _REVIEW},
    ("ttl_cache.py", _RIGHT, _WRONG),
    "Whether expired entries are dropped eagerly or lazily decides every other part of the cache; a mistake here is costly later.",
    QUESTION,
)
