"""Providers that speak neither of our wires (Vertex, Bedrock, Cohere, …), through litellm's `acompletion`.

litellm is loaded at the first call, in a thread: importing it takes seconds. Retries are switched off, and nothing is concluded from the
class of its exceptions: it reports an overload as an internal error, a refused connection as a status 500 and a broken stream as a
finished one (measured with 1.106). `litellm_facts` reads the provider's own answer from the chain behind an exception instead.
"""

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from executor_tui.hydra.providers import http
from executor_tui.hydra.providers.base import Body, Chunk, Facts, ProviderCall, ProviderFailure, ProviderReply, Wire
from executor_tui.hydra.providers.dialects import ChatDialect, chat_usage
from executor_tui.hydra.providers.litellm_facts import facts_of
from executor_tui.hydra.providers.sse import encode

_PASSED_ON = frozenset(
    ("temperature", "top_p", "top_k", "n", "stop", "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty",
     "logit_bias", "logprobs", "top_logprobs", "user", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format",
     "reasoning_effort", "thinking", "modalities", "audio", "prediction", "web_search_options", "verbosity", "safety_settings")
)  # fmt: skip
"""Fields of a request that go on. Any other keyword of `acompletion` is litellm's own (another address, other credentials, retries), and a
client's body must not reach it."""


class LiteLLM:
    """litellm itself, loaded once per process."""

    def __init__(self) -> None:
        self._loading: asyncio.Task[ModuleType] | None = None

    async def module(self) -> ModuleType:
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.create_task(asyncio.to_thread(_load), name="load-litellm")
        return await asyncio.shield(self._loading)

    async def close(self) -> None:
        """Stop litellm's background worker and close its connections, if it was ever loaded."""
        if self._loading is None:
            return
        module = await self._loading
        worker = importlib.import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
        await worker.stop()
        await module.close_litellm_async_clients()


def _load() -> ModuleType:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it fetches its price map from the network at import
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    module = importlib.import_module("litellm")
    for name, value in {"telemetry": False, "suppress_debug_info": True, "num_retries": 0}.items():
        setattr(module, name, value)
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return module


class LiteLLMProvider:
    """Chat only; the gateway translates the other wires. `prefix` is the provider part of litellm's model names."""

    def __init__(self, name: str, prefix: str, litellm: LiteLLM) -> None:
        self.name = name
        self._prefix, self._litellm = prefix or name, litellm
        self._dialect = ChatDialect()

    def wires(self) -> frozenset[Wire]:
        return frozenset({"chat"})

    async def complete(self, call: ProviderCall) -> ProviderReply:
        """One whole answer. Raises ProviderFailure."""
        try:
            async with asyncio.timeout(min(call.total_s, call.first_token_s + call.stall_s)):
                answer = await self._acompletion(call)
        except TimeoutError:
            detail = f"no answer for {call.first_token_s:g} s"
            raise ProviderFailure(Facts(self.name, "timeout", where="first_token", detail=detail)) from None
        except Exception as exc:  # noqa: BLE001 - litellm raises what it likes; all of it is a failed call
            raise ProviderFailure(facts_of(self.name, exc, call.secret)) from None
        body: Body = answer.model_dump(exclude_none=True)
        if not self._dialect.answers(body):
            raise ProviderFailure(Facts(self.name, "stream", where="malformed", detail="JSON, but not an answer"))
        return ProviderReply(200, _headers(answer), body, chat_usage(body.get("usage")))

    async def open_stream(self, call: ProviderCall) -> "LiteLLMStream":
        """A stream whose content has begun. Raises ProviderFailure."""
        stream: LiteLLMStream | None = None
        try:
            async with asyncio.timeout(min(call.total_s, call.first_token_s)):
                answer = await self._acompletion(call)
                stream = LiteLLMStream(self.name, call, answer, self._dialect)
                await stream.prime()
            return stream
        except TimeoutError:
            detail = f"nothing for {call.first_token_s:g} s"
            failure = ProviderFailure(Facts(self.name, "timeout", where="first_token", detail=detail))
        except ProviderFailure as exc:
            failure = exc
        except Exception as exc:  # noqa: BLE001 - as above
            failure = ProviderFailure(facts_of(self.name, exc, call.secret))
        if stream is not None:
            await stream.aclose()
        raise failure from None

    async def verify(self, base_url: str, secret: str) -> None:
        """litellm has no listing of models that every provider knows: the key is tried by the first call."""

    async def aclose(self) -> None:
        """litellm's own connections are closed by `LiteLLM.close`."""

    async def _acompletion(self, call: ProviderCall) -> Any:
        module = await self._litellm.module()
        body = self._dialect.prepared(call.body)
        extra = {k: v for k, v in body.items() if k in _PASSED_ON}
        base = call.base_url.rstrip("/") or None
        if base and self._prefix == "anthropic":
            base = base.removesuffix("/v1")  # litellm adds /v1/messages itself
        streaming = {"stream": True, "stream_options": body["stream_options"]} if body.get("stream") else {}
        # With tools, litellm looks for MCP servers of its own proxy first, and fails where the package `mcp` is not installed (1.106).
        return await module.acompletion(
            _skip_mcp_handler=True,
            model=f"{self._prefix}/{call.model_id}", messages=body.get("messages", []), api_key=call.secret or None, api_base=base,
            timeout=call.total_s, num_retries=0, max_retries=0, drop_params=True, **streaming, **extra,
        )  # fmt: skip


class LiteLLMStream:
    """litellm's stream, checked for the end marker that litellm makes up when there is none."""

    def __init__(self, provider: str, call: ProviderCall, answer: Any, dialect: ChatDialect) -> None:
        self.headers: Mapping[str, str] = _headers(answer)
        self._provider, self._call, self._answer = provider, call, answer
        self._iterator = aiter(answer)
        self._reader = dialect.reader(call.body)
        self._deadline = asyncio.get_running_loop().time() + call.total_s
        self._held: list[Chunk] = []
        self._ended = self._over = False

    async def prime(self) -> None:
        """Read until there is content. Raises ProviderFailure, or whatever litellm raises."""
        while not self._over:
            chunk, content = await self._next()
            self._held.append(chunk)
            if content:
                return

    async def batches(self) -> AsyncIterator[Sequence[Chunk]]:
        """Events in order. Raises ProviderFailure."""
        if self._held:
            held, self._held = self._held, []
            yield held
        loop = asyncio.get_running_loop()
        while not self._over:
            left = self._deadline - loop.time()
            try:
                async with asyncio.timeout(max(0.0, min(self._call.stall_s, left))):
                    chunk, _ = await self._next()
            except TimeoutError:
                where = "total" if left < self._call.stall_s else "stall"
                failure = ProviderFailure(Facts(self._provider, "timeout", where=where, detail="the stream fell silent"))
            except ProviderFailure as exc:
                failure = exc
            except Exception as exc:  # noqa: BLE001 - litellm raises what it likes; all of it is a broken stream
                failure = ProviderFailure(facts_of(self._provider, exc, self._call.secret, in_stream=True))
            else:
                yield [chunk]
                continue
            await self.aclose()
            raise failure from None

    async def aclose(self) -> None:
        """Close the connection upstream."""
        self._over = True
        for holder in (self._answer, getattr(self._answer, "completion_stream", None)):
            close = getattr(holder, "aclose", None) or getattr(holder, "close", None)
            if close is None:
                continue
            try:
                outcome = close()
                if asyncio.iscoroutine(outcome):
                    await outcome
            except (RuntimeError, OSError, AttributeError) as exc:
                logging.getLogger(__name__).debug("closing litellm's stream: %s", type(exc).__name__)

    async def _next(self) -> tuple[Chunk, bool]:
        try:
            part = await anext(self._iterator)
        except StopAsyncIteration:
            self._over = True
            self._check_end()
            return Chunk({}, raw=encode("", b"[DONE]"), last=True), True
        data: Body = part.model_dump(exclude_none=True)
        counted = data.get("usage")
        if counted and not any(c.get("delta") or c.get("finish_reason") for c in data.get("choices", ())):
            data["choices"] = []
        if any(c.get("finish_reason") for c in data.get("choices", ())):
            self._check_end()
        seen = self._reader.look("", data)
        self._ended = self._ended or seen.end
        raw = b"" if seen.hidden else encode("", part.model_dump_json(exclude_none=True).encode())
        return Chunk(data, "", raw, seen.usage), seen.content

    def _check_end(self) -> None:
        """Raises ProviderFailure when the provider never said that it was done."""
        said = getattr(self._answer, "received_finish_reason", None) or getattr(self._answer, "intermittent_finish_reason", None)
        if not said:
            raise ProviderFailure(Facts(self._provider, "stream", where="truncated", detail="the stream ended without its end marker"))


def _headers(answer: Any) -> dict[str, str]:
    """The provider's reply headers, as litellm keeps them."""
    raw = getattr(answer, "_response_headers", None)
    if not raw:
        hidden = getattr(answer, "_hidden_params", None) or {}
        prefix = "llm_provider-"
        raw = {k.removeprefix(prefix): v for k, v in (hidden.get("additional_headers") or {}).items() if k.startswith(prefix)}
    return http.lowered({str(k): str(v) for k, v in dict(raw).items()})
