"""Every refusal that providers are known to give, sent by a real server and understood: its class, what it parks, and until when."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from executor_tui.domain.key import FailureClass as F
from executor_tui.domain.key import ParkSource as S
from executor_tui.hydra.failures import ACTIONS, RULES, Next, Reach, Verdict, classify
from executor_tui.hydra.providers.anthropic_wire import anthropic_wire
from executor_tui.hydra.providers.base import Facts, ProviderCall, ProviderFailure
from executor_tui.hydra.providers.http import HttpPool
from executor_tui.hydra.providers.openai_wire import openai_wire
from executor_tui.hydra.windows import DailyReset

NOW = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
DATE = "Wed, 25 Nov 2026 18:00:00 GMT"
MIDNIGHT_UTC, MIDNIGHT_PACIFIC = datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 26, 8, tzinfo=UTC)


class Refusing:
    """A server that answers every call with what it was told to, and a provider of either wire pointed at it."""

    def __init__(self) -> None:
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        self.pool = HttpPool()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        status, headers, body = self.answer
        return web.Response(status=status, headers={"content-type": "application/json", "date": DATE, **headers}, body=body)

    async def facts(self, status: int, headers: dict[str, str], body: object, *, stream: bool, wire: str) -> Facts:
        """What our own HTTP client makes of that answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        if stream:
            raw, headers = b"data: " + raw + b"\n\n", {"content-type": "text/event-stream", **headers}
        self.answer = (status, headers, raw)
        provider = anthropic_wire("p", self.pool) if wire == "messages" else openai_wire("p", self.pool)
        asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream}
        call = ProviderCall("messages" if wire == "messages" else "chat", "m", asked, self.url, "sk-test-0123456789")
        with pytest.raises(ProviderFailure) as caught:
            await (provider.open_stream(call) if stream else provider.complete(call))
        return caught.value.facts


@pytest.fixture
async def refusing() -> AsyncIterator[Refusing]:
    server = Refusing()
    app = web.Application()
    app.router.add_post("/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield server
    await server.pool.close()
    await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Case:
    """An answer, and what must be made of it. `ends_at` or `for_s` when the end is known; neither for a guess."""

    name: str
    status: int
    body: object
    failure: F
    reach: Reach | None = None
    source: S | None = None
    for_s: float | None = None
    ends_at: datetime | None = None
    headers: tuple[tuple[str, str], ...] = ()
    reset: DailyReset = "utc"
    wire: str = "chat"
    stream: bool = False


def google(status: int, name: str, message: str, *details: dict[str, Any]) -> list[Any]:
    return [{"error": {"code": status, "message": message, "status": name, "details": list(details)}}]


def quota(*violations: tuple[str, str], delay: str = "36s") -> tuple[dict[str, Any], ...]:
    found = [{"quotaId": quota_id, "quotaMetric": "generate_content_free_tier", "quotaValue": value} for quota_id, value in violations]
    return (
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": found},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    )


SPENT = "You exceeded your current quota, please check your plan and billing details."
PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
TOKENS = "GenerateContentInputTokensPerModelPerMinute-FreeTier"


def openai_error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def zen(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "Rate limit exceeded. Please try again later."}}


def router_error(code: int, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}, "user_id": "u"}


CASES = (
    # Google AI Studio: the quotaId is believed, never the sentence, and never the short delay of a daily quota
    Case("google day", 429, google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_DAY, "250"))), F.QUOTA_EXHAUSTED, Reach.MODEL, S.COMPUTED,
         ends_at=MIDNIGHT_PACIFIC, reset="pacific"),
    Case("google minute", 429, google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_MINUTE, "10"))), F.RATE_LIMITED, Reach.MODEL,
         S.PROVIDER, for_s=36),
    Case("google tokens", 429, google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((TOKENS, "250000"), delay="12.5s")), F.RATE_LIMITED,
         Reach.MODEL, S.PROVIDER, for_s=12.5),
    Case("google day and minute together", 429, google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_MINUTE, "10"), (PER_DAY, "250"))),
         F.QUOTA_EXHAUSTED, Reach.MODEL, S.COMPUTED, ends_at=MIDNIGHT_PACIFIC, reset="pacific"),
    Case("google no free tier", 429, google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_DAY, "0"))), F.FORBIDDEN_MODEL,
         Reach.MODEL, S.GUESS),
    Case("google bare 429", 429, google(429, "RESOURCE_EXHAUSTED", SPENT), F.RATE_LIMITED, Reach.MODEL, S.GUESS),
    Case("google overloaded", 503, google(503, "UNAVAILABLE", "The model is overloaded. Please try again later."), F.OVERLOADED,
         Reach.ROUTE, S.GUESS),
    Case("google bad key", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
         {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}), F.AUTH, Reach.KEY, S.GUESS),
    Case("google suspended", 403, google(403, "PERMISSION_DENIED", "Consumer has been suspended.", {"reason": "CONSUMER_SUSPENDED"}),
         F.AUTH, Reach.KEY, S.GUESS),
    Case("google too long", 400, google(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens"),
         F.CONTEXT_LENGTH),
    Case("google blocked", 400, google(400, "INVALID_ARGUMENT", "The request was blocked: PROHIBITED_CONTENT"), F.CONTENT_FILTER),
    Case("google internal", 500, google(500, "INTERNAL", "An internal error has occurred."), F.SERVER, Reach.ROUTE, S.GUESS),
    # Anthropic
    Case("anthropic limit", 429, anthropic_error("rate_limit_error"), F.RATE_LIMITED, Reach.MODEL, S.PROVIDER, for_s=17,
         headers=(("retry-after", "17"),), wire="messages"),
    Case("anthropic limit told by its headers", 429, anthropic_error("rate_limit_error"), F.RATE_LIMITED, Reach.MODEL, S.PROVIDER, for_s=42,
         headers=(("anthropic-ratelimit-requests-limit", "50"), ("anthropic-ratelimit-requests-remaining", "0"),
                  ("anthropic-ratelimit-requests-reset", "2026-11-25T18:00:42Z"), ("date", DATE)), wire="messages"),
    Case("anthropic 529", 529, anthropic_error("overloaded_error", "Overloaded"), F.OVERLOADED, Reach.ROUTE, S.GUESS, wire="messages"),
    Case("anthropic overloaded inside HTTP 200", 200, anthropic_error("overloaded_error", "Overloaded"), F.OVERLOADED, Reach.ROUTE, S.GUESS,
         wire="messages", stream=True),
    Case("anthropic credit", 400, anthropic_error("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
         F.CREDIT, Reach.POOL, S.GUESS, wire="messages"),
    Case("anthropic spend limit", 400, anthropic_error("invalid_request_error",
         "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."), F.QUOTA_EXHAUSTED,
         Reach.POOL, S.COMPUTED, ends_at=datetime(2026, 12, 1, tzinfo=UTC), wire="messages"),
    Case("anthropic key", 401, anthropic_error("authentication_error", "invalid x-api-key"), F.AUTH, Reach.KEY, S.GUESS, wire="messages"),
    Case("anthropic permission", 403, anthropic_error("permission_error"), F.FORBIDDEN_MODEL, Reach.MODEL, S.GUESS, wire="messages"),
    Case("anthropic no such model", 404, anthropic_error("not_found_error", "model: claude-9"), F.FORBIDDEN_MODEL, Reach.ROUTE, S.GUESS,
         wire="messages"),
    Case("anthropic too long", 400, anthropic_error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
         F.CONTEXT_LENGTH, wire="messages"),
    Case("anthropic malformed", 400, anthropic_error("invalid_request_error", "messages: at least one"), F.BAD_REQUEST, wire="messages"),
    Case("anthropic api error", 500, anthropic_error("api_error"), F.SERVER, Reach.ROUTE, S.GUESS, wire="messages"),
    # OpenAI
    Case("openai limit", 429, openai_error("Rate limit reached", "tokens", "rate_limit_exceeded"), F.RATE_LIMITED, Reach.MODEL, S.PROVIDER,
         for_s=1.5, headers=(("retry-after", "2"), ("retry-after-ms", "1500"))),
    Case("openai limit in Go's durations", 429, openai_error("Rate limit reached", "requests", "rate_limit_exceeded"), F.RATE_LIMITED,
         Reach.MODEL, S.PROVIDER, for_s=72.5, headers=(("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "0"),
                                                         ("x-ratelimit-reset-requests", "1m12.5s"))),
    Case("openai says it in words", 429, openai_error("Rate limit reached for gpt-4o. Please try again in 6m0s.", "requests",
         "rate_limit_exceeded"), F.RATE_LIMITED, Reach.MODEL, S.PROVIDER, for_s=360),
    Case("openai day", 429, openai_error("Rate limit reached for gpt-4o on requests per day (RPD): Limit 10000.", "requests",
         "rate_limit_exceeded"), F.QUOTA_EXHAUSTED, Reach.MODEL, S.COMPUTED, ends_at=MIDNIGHT_UTC),
    Case("openai never heals by waiting", 429, openai_error(SPENT, "insufficient_quota", "insufficient_quota"), F.CREDIT, Reach.POOL,
         S.GUESS,
         headers=(("retry-after", "5"),)),
    Case("openai key", 401, openai_error("Incorrect API key provided: sk-t***.", code="invalid_api_key"), F.AUTH, Reach.KEY, S.GUESS),
    Case("openai no such model", 404, openai_error("The model `x` does not exist or you do not have access to it.", code="model_not_found"),
         F.FORBIDDEN_MODEL, Reach.ROUTE, S.GUESS),
    Case("openai too long", 400, openai_error("Maximum context length is 128000.", code="context_length_exceeded"), F.CONTEXT_LENGTH),
    Case("openai filter", 400, openai_error("rejected by the safety system", code="content_policy_violation"), F.CONTENT_FILTER),
    Case("openai malformed", 400, openai_error("Invalid type for 'messages'."), F.BAD_REQUEST),
    Case("openai 500", 500, openai_error("The server had an error", "server_error"), F.SERVER, Reach.ROUTE, S.GUESS),
    Case("openai overloaded", 503, openai_error("The engine is currently overloaded", "server_error"), F.OVERLOADED, Reach.ROUTE, S.GUESS),
    Case("openai error in a stream", 200, openai_error("The server had an error", "server_error"), F.SERVER, Reach.ROUTE, S.GUESS,
         stream=True),
    # OpenRouter
    Case("openrouter minute", 429, router_error(429, "Rate limit exceeded: free-models-per-min.", metadata={"headers": {
         "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int((NOW.timestamp() + 30) * 1000))}}),
         F.RATE_LIMITED, Reach.MODEL, S.PROVIDER, for_s=30),
    Case("openrouter day", 429, router_error(429, "Rate limit exceeded: free-models-per-day.", metadata={"headers": {
         "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(MIDNIGHT_UTC.timestamp() * 1000))}}),
         F.QUOTA_EXHAUSTED, Reach.MODEL, S.PROVIDER, for_s=6 * 3600),
    Case("openrouter balance", 402, router_error(402, "Insufficient credits."), F.CREDIT, Reach.POOL, S.GUESS),
    Case("openrouter upstream is full", 429, router_error(429, "Provider returned error", metadata={
         "raw": "deepseek/x:free is temporarily rate-limited upstream. Please retry shortly."}), F.OVERLOADED, Reach.ROUTE, S.GUESS),
    Case("openrouter error in a stream", 200, router_error(502, "Provider returned error", metadata={}), F.SERVER, Reach.ROUTE, S.GUESS,
         stream=True),
    Case("openrouter moderation", 403, router_error(403, "Input was flagged", metadata={"reasons": ["violence"], "flagged_input": "…"}),
         F.CONTENT_FILTER),
    Case("openrouter no endpoints", 404, router_error(404, "No endpoints found for x."), F.FORBIDDEN_MODEL, Reach.ROUTE, S.GUESS),
    # OpenCode Zen
    Case("zen free tier", 403, zen("FreeTierError"), F.FORBIDDEN_MODEL, Reach.MODEL, S.GUESS),
    Case("zen free usage", 429, zen("FreeUsageLimitError"), F.QUOTA_EXHAUSTED, Reach.MODEL, S.PROVIDER, for_s=21_600,
         headers=(("retry-after", "21600"),)),
    Case("zen limit", 429, zen("RateLimitError"), F.RATE_LIMITED, Reach.MODEL, S.GUESS),
    Case("zen credits", 401, zen("CreditsError"), F.CREDIT, Reach.POOL, S.GUESS),
    Case("zen month", 401, zen("MonthlyLimitError"), F.QUOTA_EXHAUSTED, Reach.POOL, S.COMPUTED, ends_at=datetime(2026, 12, 1, tzinfo=UTC)),
    # Anybody
    Case("retry-after as a date", 429, {}, F.RATE_LIMITED, Reach.MODEL, S.PROVIDER, for_s=90,
         headers=(("retry-after", "Wed, 25 Nov 2026 18:01:30 GMT"), ("date", DATE))),
    Case("a page instead of an error", 401, b"<html>openresty</html>", F.AUTH, Reach.KEY, S.GUESS),
    Case("a gateway in front timed out", 504, b"", F.TIMEOUT),
    Case("llama.cpp's context", 400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "exceeds the available"}},
         F.CONTEXT_LENGTH),
    Case("groq larger than its minute", 413, openai_error("Request too large: tokens per minute (TPM): Limit 6000", "tokens",
         "rate_limit_exceeded"), F.CONTEXT_LENGTH),
    Case("a redirect", 302, b"", F.SERVER, Reach.ROUTE, S.GUESS, headers=(("location", "/elsewhere"),)),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_refusal_is_understood(refusing: Refusing, case: Case) -> None:
    facts = await refusing.facts(case.status, dict(case.headers), case.body, stream=case.stream, wire=case.wire)
    verdict = classify(facts, NOW, case.reset)
    assert verdict.failure is case.failure, verdict
    if case.reach is None:
        assert verdict.park is None
        return
    assert verdict.park is not None and (verdict.park.reach, verdict.park.source) == (case.reach, case.source)
    assert verdict.park.ends_at == case.ends_at
    assert verdict.park.for_s == (None if case.for_s is None else pytest.approx(case.for_s, abs=0.01))


def seen(kind: str, where: str = "") -> Verdict:
    return classify(Facts("p", kind, where=where), NOW)  # type: ignore[arg-type]


def test_what_never_became_an_answer_is_told_apart() -> None:
    assert seen("network", "connect").failure is F.NETWORK and seen("network", "reset").failure is F.NETWORK
    assert {seen("timeout", where).failure for where in ("connect", "first_token", "stall", "total")} == {F.TIMEOUT}
    assert seen("timeout", "stall").park is None, "a provider that began to answer is there"
    assert seen("stream", "truncated").failure is F.TRUNCATED and seen("stream", "malformed").failure is F.SERVER


def test_a_key_or_model_problem_asks_another_key_a_capacity_problem_another_route_and_a_request_problem_nobody() -> None:
    by = {failure: action.next for failure, action in ACTIONS.items()}
    assert set(by) == set(F), "every class has its row"
    assert {f for f, n in by.items() if n is Next.KEY} == {F.RATE_LIMITED, F.QUOTA_EXHAUSTED, F.CREDIT, F.AUTH, F.FORBIDDEN_MODEL}
    assert {f for f, n in by.items() if n is Next.GIVE_UP} == {F.CONTENT_FILTER, F.BAD_REQUEST}
    assert ACTIONS[F.OVERLOADED].tries == 1 and ACTIONS[F.NETWORK].tries == 3


def test_the_last_row_of_the_table_takes_whatever_no_other_took() -> None:
    assert RULES[-1].name == "unknown" and classify(Facts("p", "program"), NOW).rule == "unknown"


def test_limits_are_learned_from_a_refusal_too() -> None:
    body = json.dumps(google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_MINUTE, "10"), (PER_DAY, "250"), (TOKENS, "250000"))))
    told = {(t.kind, t.limit) for t in classify(Facts("google", "http", 429, body=body), NOW, "pacific").learned}
    assert told == {("rpm", 10.0), ("rpd", 250.0), ("tpm", 250_000.0)}


@pytest.mark.parametrize("after_midnight_s", [1, 299])
def test_a_daily_refusal_just_after_the_reset_is_a_difference_of_clocks(after_midnight_s: int) -> None:
    body = json.dumps(google(429, "RESOURCE_EXHAUSTED", SPENT, *quota((PER_DAY, "250"))))
    at = MIDNIGHT_PACIFIC + timedelta(seconds=after_midnight_s)
    park = classify(Facts("google", "http", 429, body=body), at, "pacific").park
    assert park is not None and park.source is S.GUESS and park.base_s == 60
