"""What holds whatever comes in: parsers never raise and never run away, counters never go below or above what is true."""

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from executor_tui.config.models import ProviderSettings
from executor_tui.domain.key import FailureClass, Key, KeyState, Park, ParkScope, ParkSource
from executor_tui.domain.model import Tier
from executor_tui.hydra.blocked import Blocked
from executor_tui.hydra.durations import MAX_S, go_duration, moment, until
from executor_tui.hydra.failures import RULES, Reach, classify
from executor_tui.hydra.learn import from_headers
from executor_tui.hydra.limits import Need
from executor_tui.hydra.moment import Moment
from executor_tui.hydra.parks import ParkBook, ParkKey
from executor_tui.hydra.pool import Hold, KeyPool
from executor_tui.hydra.providers.base import Facts
from executor_tui.hydra.search import Pick
from executor_tui.hydra.windows import day_of

calm = settings(max_examples=60, deadline=None)
NOW = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
moments = st.integers(1_577_836_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)

# -- durations


@calm
@given(st.text(max_size=60), moments)
def test_any_text_is_a_bounded_time_or_none(text: str, now: datetime) -> None:
    found = until(text, now)
    assert found is None or 0 <= found <= MAX_S


@calm
@given(st.integers(0, 700), st.integers(0, 59), st.integers(0, 59_999))
def test_a_duration_as_go_prints_it_is_read_back(hours: int, minutes: int, ms: int) -> None:
    text = f"{hours}h{minutes}m{ms / 1000:g}s" if hours else f"{minutes}m{ms / 1000:g}s"
    assert go_duration(text) == min(MAX_S, hours * 3600 + minutes * 60 + float(f"{ms / 1000:g}"))


@calm
@given(moments, st.integers(0, 86_400))
def test_every_way_to_name_a_moment_means_the_same(now: datetime, ahead_s: int) -> None:
    at = now + timedelta(seconds=ahead_s)
    ways = (f"{at:%Y-%m-%dT%H:%M:%SZ}", at.isoformat(), f"{at:%a, %d %b %Y %H:%M:%S} GMT", str(int(at.timestamp() * 1000)))
    assert [until(way, now) for way in ways] == [ahead_s] * len(ways)
    assert until(str(ahead_s), now) == ahead_s


@calm
@given(st.text(max_size=40))
def test_a_moment_is_aware_or_none(text: str) -> None:
    found = moment(text)
    assert found is None or found.utcoffset() == timedelta(0)


# -- windows


@calm
@given(moments, st.sampled_from(["utc", "pacific"]))
def test_days_follow_one_another_without_gap_or_overlap(at: datetime, reset: Any) -> None:
    day = day_of(reset, at)
    assert day.holds(at)
    assert day_of(reset, day.end).start == day.end and not day.holds(day.end)
    assert 23 <= (day.end - day.start).total_seconds() / 3600 <= 25
    assert day_of(reset, day.end - timedelta(microseconds=1)) == day


# -- refusals

header_names = st.sampled_from(
    ["retry-after", "retry-after-ms", "date", "x-ratelimit-reset-requests", "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests",
     "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset", "ratelimit-remaining",
     "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-limit"]
)  # fmt: skip
header_values = (
    st.text(max_size=30) | st.integers(-(10**15), 10**15).map(str) | st.sampled_from(["6m0s", "2026-11-25T18:01:00Z", "nan", "inf"])
)


@settings(calm, max_examples=150)
@given(
    st.integers(0, 599), st.dictionaries(header_names, header_values, max_size=5),
    st.text(max_size=80) | json_values.map(lambda v: json.dumps(v, default=str)) | json_values.map(lambda v: json.dumps({"error": v})),
    st.sampled_from(["http", "network", "timeout", "stream", "program"]),
)  # fmt: skip
def test_any_refusal_is_understood_without_raising_and_parks_for_a_bounded_time(
    status: int, headers: Mapping[str, str], body: str, kind: Any
) -> None:
    verdict = classify(Facts("p", kind, status, headers, body), NOW)
    assert verdict.rule in {r.name for r in RULES}
    park = verdict.park
    if park is not None:
        assert (park.ends_at is not None) + (park.for_s is not None) + (park.base_s > 0) == 1, "one way to know the end"
        assert park.for_s is None or 1 <= park.for_s <= MAX_S
        assert park.ends_at is None or NOW < park.ends_at <= NOW + timedelta(days=366)
        assert park.source is not ParkSource.OPERATOR and park.reach in Reach


violations = st.builds(
    lambda quota_id, value: {"quotaId": quota_id, "quotaValue": value},
    st.sampled_from(["GenerateRequestsPerDayPerProjectPerModel-FreeTier", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"])
    | st.text(max_size=20),
    st.integers(0, 10**9).map(str) | json_values,
)


@calm
@given(st.lists(violations, max_size=4), st.text(max_size=10) | st.sampled_from(["36s", "0.5s", "-1s"]))
def test_googles_details_in_any_mixture_never_park_a_daily_quota_for_its_short_delay(found: list[Any], delay: str) -> None:
    details = [{"@type": "x/google.rpc.QuotaFailure", "violations": found}, {"@type": "x/google.rpc.RetryInfo", "retryDelay": delay}]
    body = json.dumps([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x", "details": details}}])
    verdict = classify(Facts("google", "http", 429, body=body), NOW, "pacific")
    if any("PerDay" in v["quotaId"] for v in found) and not any(v["quotaValue"] in ("0", 0) for v in found):
        assert verdict.failure is FailureClass.QUOTA_EXHAUSTED and verdict.park is not None
        assert verdict.park.ends_at == datetime(2026, 11, 26, 8, tzinfo=UTC)


@calm
@given(st.dictionaries(header_names, header_values, max_size=8))
def test_what_headers_teach_is_never_less_than_nothing(headers: dict[str, str]) -> None:
    for told in from_headers(headers, NOW):
        assert told.kind in ("", "rpm", "tpm", "rpd", "tpd")
        assert told.resets_in_s is None or 0 <= told.resets_in_s <= MAX_S


# -- parks

PARK = ParkKey(ParkScope.POOL_MODEL, "p/a", "m", "")


@calm
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 1_000)), min_size=1, max_size=12))
def test_a_park_is_never_shortened_and_never_outlives_the_longest_asked_for(asked: list[tuple[int, int]]) -> None:
    book, now_s, furthest = ParkBook(random.Random(1).randrange), 0.0, 0.0
    for number, (later_s, for_s) in enumerate(asked):
        now_s += later_s
        now = Moment(NOW + timedelta(seconds=now_s), now_s)
        ends = now.wall + timedelta(seconds=for_s)
        book.add(Park(f"prk-{number}", *PARK, FailureClass.RATE_LIMITED, ParkSource.PROVIDER, now.wall, ends, ""), now)
        furthest = max(furthest, now_s + for_s)
        found = book.find(PARK, now)
        assert isinstance(found, Blocked) and abs(found.ready_s - furthest) < 1e-3
    assert book.find(PARK, Moment(NOW + timedelta(seconds=furthest), furthest + 1e-3)) is None


# -- the pool under any order of calls


class PoolMachine(RuleBasedStateMachine):
    """Three accounts with two keys each, ten requests a minute and three at once: take, answer, end, wait, in any order."""

    def __init__(self) -> None:
        super().__init__()
        limits = {"*": {"rpm": 10, "rpd": 60, "concurrent": 3}}
        provider = ProviderSettings.model_validate({"base_url": "http://127.0.0.1:9", "limits": limits})
        self.book = ParkBook(random.Random(1).randrange)
        self.pool = KeyPool({"p": provider}, "least_loaded", self.book, random.Random(2).randrange)
        self.pool.set_keys(
            Key(f"k-{a}-{n}", "p", f"p/{a}", Tier.STANDARD, "ref", f"{a}{n}", state=KeyState.VERIFIED) for a in "abc" for n in (1, 2)
        )
        self.now_s = 1_000.0
        self.held: list[Hold] = []
        self.answered_at: dict[str, list[float]] = {f"p/{a}": [] for a in "abc"}
        self.today: dict[str, int] = dict.fromkeys(self.answered_at, 0)

    @property
    def now(self) -> Moment:
        return Moment(NOW + timedelta(seconds=self.now_s), self.now_s)

    @rule()
    def take(self) -> None:
        found = self.pool.find("p", "m", Need(10, 5), self.now)
        full = {p for p in self.answered_at if not self._room(p)}
        if isinstance(found, Pick):
            assert found.pool_id not in full, "a call was let through that the provider would have refused"
            self.held.append(self.pool.take(found, Need(10, 5), self.now))
            self.today[found.pool_id] += 1
        else:
            assert len(full) == len(self.answered_at), "a call was kept back though there was room"
            assert found.on_release or found.ready_s > self.now_s

    def _room(self, pool_id: str) -> bool:
        mine = [h for h in self.held if h.pick.pool_id == pool_id]
        pending = sum(h.reservation.pending for h in mine)
        recent = sum(self.now_s < at + 60.05 for at in self.answered_at[pool_id])
        return len(mine) < 3 and pending + recent < 10 and self.today[pool_id] < 60

    @precondition(lambda self: any(h.reservation.pending for h in self.held))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from([h for h in self.held if h.reservation.pending]))
        self.pool.answered(hold, self.now)
        self.answered_at[hold.pick.pool_id].append(self.now_s)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), sent=st.booleans(), twice=st.booleans())
    def end(self, data: st.DataObject, sent: bool, twice: bool) -> None:
        hold = data.draw(st.sampled_from(self.held))
        pending = hold.reservation.pending
        for _ in range(2 if twice else 1):
            self.pool.release(hold, self.now, tokens=20 if sent else None, sent=sent)
        self.held.remove(hold)
        if sent and pending:
            self.answered_at[hold.pick.pool_id].append(self.now_s)
        elif pending:
            self.today[hold.pick.pool_id] -= 1

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    @invariant()
    def what_is_in_flight_is_what_is_held(self) -> None:
        for pool_id in self.answered_at:
            bucket = self.pool.bucket(pool_id, "m")
            assert bucket is not None and bucket.in_flight == sum(h.pick.pool_id == pool_id for h in self.held)
            assert bucket.day_requests == self.today[pool_id]


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=30, stateful_step_count=60, deadline=None)
