"""One suite for every wire: the same upstream, the same faults, the same facts."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import Bench, collect, text_of

from executor_tui.hydra.providers.base import Facts, ProviderFailure
from executor_tui.lab.upstreams.faults import Fault, FaultKind
from executor_tui.lab.upstreams.provider import SseStyle

SAID = "echo: hello there, how are you today?"


async def failing(bench: Bench, kind: FaultKind, *, stream: bool = False, **fault: object) -> Facts:
    """The facts of a call that met this fault before anything was received."""
    bench.upstreams.faults.add(Fault(kind, **fault))  # type: ignore[arg-type]
    with pytest.raises(ProviderFailure) as caught:
        if stream:
            await bench.provider.open_stream(bench.call(body={"stream": True}))
        else:
            await bench.provider.complete(bench.call())
    return caught.value.facts


async def test_a_whole_answer_has_its_text_usage_and_headers(bench: Bench) -> None:
    reply = await bench.provider.complete(bench.call())
    assert SAID in json.dumps(reply.body)
    assert reply.usage.reported and reply.usage.input_tokens > 0 and reply.usage.output_tokens > 0
    limit = "anthropic-ratelimit-requests-limit" if bench.upstream == "anthropic" else "x-ratelimit-limit-requests"
    assert reply.headers[limit] == ("50" if bench.upstream == "anthropic" else "500")


async def test_a_stream_brings_the_same_text_in_pieces_and_ends(bench: Bench) -> None:
    stream = await bench.provider.open_stream(bench.call(body={"stream": True}))
    chunks = await collect(stream)
    assert text_of(chunks) == SAID
    assert chunks[-1].last
    assert [c.usage for c in chunks if c.usage][-1].output_tokens > 0


async def test_tools_are_called_whole_and_streamed(bench: Bench) -> None:
    whole = await bench.provider.complete(bench.call(body={"tools": bench.tools()}))
    assert '"read"' in json.dumps(whole.body) and "path" in json.dumps(whole.body)
    stream = await bench.provider.open_stream(bench.call(body={"stream": True, "tools": bench.tools()}))
    streamed = json.dumps([c.data for c in await collect(stream)])
    assert '"name": "read"' in streamed and "path" in streamed


@pytest.mark.parametrize(
    ("kind", "openai", "anthropic", "word"),
    [
        ("rate_limited", 429, 429, "rate"),
        ("credit", 429, 400, "billing"),
        ("overloaded", 503, 529, "overloaded"),
        ("server", 500, 500, "error"),
        ("auth", 401, 401, "key"),
        ("forbidden_model", 404, 404, "model"),
        ("context_length", 400, 400, "maximum"),
        ("content_filter", 400, 400, ""),
        ("bad_request", 400, 400, "messages"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refusal_keeps_the_providers_own_status_and_words(
    bench: Bench, kind: FaultKind, openai: int, anthropic: int, word: str, stream: bool
) -> None:
    facts = await failing(bench, kind, stream=stream)
    assert (facts.kind, facts.status) == ("http", anthropic if bench.upstream == "anthropic" else openai)
    assert word in facts.body.lower()


async def test_a_rate_limit_keeps_the_providers_reset(bench: Bench) -> None:
    facts = await failing(bench, "rate_limited", retry_after_s=7.0)
    assert facts.headers["retry-after"] == "7"
    name = "anthropic-ratelimit-requests-remaining" if bench.upstream == "anthropic" else "x-ratelimit-remaining-requests"
    assert facts.headers[name] == "0"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_refused_connection_is_the_network_and_nothing_else(bench: Bench, stream: bool) -> None:
    await bench.upstreams.down(bench.upstream)
    with pytest.raises(ProviderFailure) as caught:
        await (bench.provider.open_stream(bench.call(body={"stream": True})) if stream else bench.provider.complete(bench.call()))
    assert (caught.value.facts.kind, caught.value.facts.where) == ("network", "connect")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_reset_connection_is_the_network(bench: Bench, stream: bool) -> None:
    facts = await failing(bench, "reset", stream=stream)
    assert (facts.kind, facts.where) == ("network", "reset")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_silent_upstream_is_given_up(bench: Bench, stream: bool) -> None:
    await bench.provider.complete(bench.call())  # litellm is loaded now, so the limit below is the upstream's alone
    bench.upstreams.faults.add(Fault("silent"))
    call = bench.call(body={"stream": True} if stream else {}, first_token_s=0.3, stall_s=0.1)
    with pytest.raises(ProviderFailure) as caught:
        await (bench.provider.open_stream(call) if stream else bench.provider.complete(call))
    assert (caught.value.facts.kind, caught.value.facts.where) == ("timeout", "first_token")
    async with asyncio.timeout(10):
        await bench.upstreams.recording.until(lambda r: r.open == 0)


@pytest.mark.parametrize("kind", ["not_json", "malformed", "empty"])
async def test_an_answer_that_is_none_is_malformed(bench: Bench, kind: FaultKind) -> None:
    facts = await failing(bench, kind)
    assert (facts.kind, facts.where) == ("stream", "malformed")


async def test_an_answer_cut_short_is_not_taken_for_one(bench: Bench) -> None:
    facts = await failing(bench, "truncated")
    assert (facts.kind, facts.where) in {("stream", "truncated"), ("network", "reset")}


async def test_an_error_inside_http_200_before_content_is_a_failure_that_can_still_be_hidden(bench: Bench) -> None:
    facts = await failing(bench, "error_first", stream=True)
    assert (facts.kind, facts.where) == ("stream", "error_event")
    assert ("overloaded" if bench.upstream == "anthropic" else "server") in facts.body.lower()


async def test_a_stream_that_ends_before_it_began_is_truncated(bench: Bench) -> None:
    facts = await failing(bench, "empty", stream=True)
    assert (facts.kind, facts.where) == ("stream", "truncated")


@pytest.mark.parametrize(
    ("kind", "wheres"),
    [
        ("error_midway", {"error_event"}),
        ("truncated", {"truncated"}),
        ("malformed", {"malformed", "truncated"}),
        ("reset_midway", {"reset"}),
        ("stalled", {"stall"}),
    ],
)
async def test_a_stream_that_breaks_gives_what_it_had_and_then_says_so(bench: Bench, kind: FaultKind, wheres: set[str]) -> None:
    bench.upstreams.faults.add(Fault(kind, after_chunks=2))
    stream = await bench.provider.open_stream(bench.call(body={"stream": True}, stall_s=0.4))
    received = []
    with pytest.raises(ProviderFailure) as caught:
        async for batch in stream.batches():
            received.extend(batch)
    assert text_of(received) == SAID[:24]
    assert caught.value.facts.where in wheres
    assert not any(c.last or any(ch.get("finish_reason") for ch in c.data.get("choices") or []) for c in received)
    async with asyncio.timeout(10):
        await bench.upstreams.recording.until(lambda r: r.open == 0)


async def test_a_finish_reason_without_done_is_an_end_all_the_same(bench: Bench) -> None:
    bench.upstreams.faults.add(Fault("no_done"))
    stream = await bench.provider.open_stream(bench.call(body={"stream": True}))
    assert text_of(await collect(stream)) == SAID


async def test_the_style_of_an_event_stream_does_not_matter(bench: Bench) -> None:
    bench.upstreams.specs[bench.upstream].style = SseStyle(newline="\r\n", space=False, comments=True, split=7)
    stream = await bench.provider.open_stream(bench.call(body={"stream": True}))
    assert text_of(await collect(stream)) == SAID


async def test_closing_a_stream_closes_it_upstream(bench: Bench) -> None:
    bench.upstreams.faults.add(Fault("stalled", after_chunks=1))
    stream = await bench.provider.open_stream(bench.call(body={"stream": True}))
    await stream.aclose()
    await stream.aclose()
    async with asyncio.timeout(10):
        await bench.upstreams.recording.until(lambda r: r.open == 0)


async def test_a_cancelled_call_closes_its_connection(bench: Bench) -> None:
    await bench.provider.complete(bench.call())
    bench.upstreams.faults.add(Fault("silent"))
    call = asyncio.create_task(bench.provider.complete(bench.call()))
    await bench.upstreams.recording.until(lambda r: len(r.requests(bench.upstream)) == 2)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    async with asyncio.timeout(10):
        await bench.upstreams.recording.until(lambda r: r.open == 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_key_that_the_provider_repeats_does_not_get_into_the_facts(bench: Bench, stream: bool) -> None:
    facts = await failing(bench, "echo_key", stream=stream)
    assert facts.status == 401 and "[key]" in facts.body
    assert bench.secret not in repr(facts) and bench.secret not in str(ProviderFailure(facts))


async def test_nothing_is_retried(bench: Bench) -> None:
    """But a reset connection by litellm, whose HTTP client tries once more by itself and cannot be told not to."""
    kinds = ("rate_limited", "server", "overloaded", *(("reset",) if "litellm" not in bench.name else ()))
    for kind in kinds:
        bench.upstreams.faults.clear()
        await failing(bench, kind)  # type: ignore[arg-type]
    assert len(bench.upstreams.recording.requests(bench.upstream)) == len(kinds)


async def test_the_key_is_not_shown_by_a_call_or_a_failure(bench: Bench) -> None:
    assert bench.secret not in repr(bench.call())
