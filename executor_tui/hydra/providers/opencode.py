"""OpenCode's free models, through the genuine `opencode run --format json` (opencode.ai/docs/cli): a process per call, no tools.

Each line of its output is an event: `text` with a finished part, `step_finish` with the tokens, `error` with status, headers and body.
A refusal that it would retry by itself, for hours if told so, shows only in its log (measured with 1.18): then it is stopped, because
waiting and retrying are decided elsewhere.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from executor_tui.hydra.providers.base import Body, Chunk, Facts, ProviderCall, ProviderFailure, ProviderReply, Usage, Wire
from executor_tui.hydra.providers.dialects import number
from executor_tui.hydra.providers.http import MAX_ERROR_BYTES, lowered
from executor_tui.hydra.providers.opencode_program import AGENT, Absent, Program, detect, environment
from executor_tui.hydra.providers.opencode_prompt import Said, parse, render, wants_tools
from executor_tui.hydra.providers.sse import encode

AT_ONCE = 4
MAX_LINE_BYTES = 16 * 1024 * 1024
_KEPT_ERROR_BYTES = 4096
_REFUSED = re.compile(r'message="stream error".* error\.error="(?:AI_APICallError: )?((?:[^"\\]|\\.)*)"')
_GRACE_S = 1.0
"""After a refusal in the log, for the error event that follows when the program does not mean to retry."""
_STATUSES = ((r"rate.?limit|too many|quota|usage limit", 429), (r"unavailable|overloaded|capacity", 503))


class OpenCodeProvider:
    """`state_dir` is where the program's cache of model lists is kept. `overrides` are laid over its configuration (tests point it at
    loopback)."""

    def __init__(self, name: str, state_dir: Path, overrides: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._cache = state_dir / "opencode-cache"
        self._overrides = dict(overrides or {})
        self._found: Program | Absent | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    def wires(self) -> frozenset[Wire]:
        return frozenset({"chat"})

    async def available(self) -> str:
        """Why this route is off, or "" when it is on. Looks once; `forget` makes it look again."""
        found = await self._program()
        return found.reason if isinstance(found, Absent) else ""

    def forget(self) -> None:
        """The program may have been installed since."""
        self._found = None

    async def complete(self, call: ProviderCall) -> ProviderReply:
        """One whole answer. Raises ProviderFailure."""
        stream = await self.open_stream(call)
        said: list[Chunk] = []
        try:
            async for batch in stream.batches():
                said.extend(batch)
        finally:
            await stream.aclose()
        message, usage, reason = stream.summary()
        head = {"id": stream.reply_id, "object": "chat.completion", "created": 0, "model": call.model_id}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        body: Body = {**head, "choices": [choice], "usage": openai_usage(usage)}
        return ProviderReply(200, {}, body, usage)

    async def open_stream(self, call: ProviderCall) -> "OpenCodeStream":
        """A run whose first words are here. Raises ProviderFailure."""
        program = await self._program()
        if isinstance(program, Absent):
            raise ProviderFailure(Facts(self.name, "program", where="absent", detail=program.reason))
        stream = OpenCodeStream(self.name, call, self._places)
        words = ["run", "--format", "json", "--agent", AGENT, "--title", "executor", "-m", call.model_id]
        words += ["--print-logs", "--log-level", "ERROR"]
        try:
            await stream.start(program.command(words, self._cache, environment(self._overrides)))
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def verify(self, base_url: str, secret: str) -> None:
        """There is no key; what can be checked is the program. Raises ProviderFailure."""
        self.forget()
        reason = await self.available()
        if reason:
            raise ProviderFailure(Facts(self.name, "program", where="absent", detail=reason))

    async def aclose(self) -> None:
        """Children end with their streams."""

    async def _program(self) -> Program | Absent:
        if self._found is None:
            self._found = await detect(self._cache)
        return self._found


class OpenCodeStream:
    """One run of the program, its events as chunks of a chat stream."""

    def __init__(self, provider: str, call: ProviderCall, places: asyncio.Semaphore) -> None:
        self.headers: Mapping[str, str] = {}
        self.reply_id = "opencode"
        self._provider, self._call, self._places = provider, call, places
        self._process: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[bytes] | None = None
        self._refused = ""
        self._text: list[str] = []
        self._said = Said("")
        self._usage = Usage(reported=False)
        self._finished = self._holding = False
        self._first: list[Chunk] = []
        self._deadline = asyncio.get_running_loop().time() + call.total_s

    async def start(self, command: Sequence[str]) -> None:
        """Run the program and wait for its first words. Raises ProviderFailure."""
        await self._places.acquire()
        self._holding = True
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, limit=MAX_LINE_BYTES)
        except OSError as exc:
            raise self._failure("start", exc.strerror or "cannot be started") from None
        assert self._process.stdin is not None and self._process.stderr is not None
        self._errors = asyncio.create_task(self._listen(self._process.stderr), name="opencode-stderr")
        self._process.stdin.write(render(self._call.body).encode("utf-8", "replace"))
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()
            self._process.stdin.close()
        self._first = await self._read(self._call.first_token_s, "first_token")

    async def batches(self) -> AsyncIterator[Sequence[Chunk]]:
        """Chunks as the program speaks, then the end. Raises ProviderFailure."""
        chunks = self._first
        while True:
            if chunks:
                yield chunks
            if self._finished:
                return
            chunks = await self._read(self._call.stall_s, "stall")

    def summary(self) -> tuple[dict[str, Any], Usage, str]:
        """The whole message, its tokens and its finish reason, once the batches are through."""
        message: dict[str, Any] = {"role": "assistant", "content": self._said.text}
        if self._said.tool_calls:
            message["tool_calls"] = list(self._said.tool_calls)
        return message, self._usage, self._said.finish_reason

    async def aclose(self) -> None:
        """End the program and whatever it started; its sandbox dies with it."""
        self._stop()
        if self._process is not None:
            await self._process.wait()
        if self._errors is not None:
            await asyncio.gather(self._errors, return_exceptions=True)
        if self._holding:
            self._holding = False
            self._places.release()

    async def _read(self, limit_s: float, where: str) -> list[Chunk]:
        """Chunks of the next event that has any."""
        assert self._process is not None and self._process.stdout is not None
        left = self._deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(0.0, min(limit_s, left))):
                while True:
                    line = await self._process.stdout.readline()
                    chunks = self._event(line) if line else await self._end()
                    if chunks:
                        return chunks
        except TimeoutError:
            await self.aclose()
            said = "total" if left < limit_s else where
            raise ProviderFailure(Facts(self._provider, "timeout", where=said, detail=f"opencode said nothing for {limit_s:g} s")) from None
        except ValueError:
            await self.aclose()
            raise self._failure("output", f"a line longer than {MAX_LINE_BYTES} bytes") from None

    def _event(self, line: bytes) -> list[Chunk]:
        try:
            event = json.loads(line)
            kind, part = event["type"], event.get("part") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return []
        self.reply_id = str(part.get("messageID") or self.reply_id)
        if kind == "error":
            raise ProviderFailure(self._error_facts(event.get("error") or {}))
        if kind == "text" and not part.get("synthetic"):
            text = str(part.get("text") or "")
            self._text.append(text)
            return [] if wants_tools(self._call.body) or not text else [self._chunk({"role": "assistant", "content": text})]
        if kind == "step_finish":
            self._count(part.get("tokens") or {})
        return []

    async def _end(self) -> list[Chunk]:
        """The program is done: what is still to be said, and the end marker. Raises ProviderFailure when it failed or said nothing."""
        assert self._process is not None and self._errors is not None
        code, errors = await self._process.wait(), (await self._errors).decode(errors="replace").strip()
        if self._refused and not self._text:
            status = next((n for words, n in _STATUSES if re.search(words, self._refused, re.IGNORECASE)), 502)
            raise ProviderFailure(Facts(self._provider, "program", status, body=self._refused, where="refused", detail=self._refused[:300]))
        if code != 0 or not self._text:
            last = errors.splitlines()[-1][:300] if errors else "nothing said"
            raise self._failure("exit", f"opencode ended with code {code}: {last}")
        self._said = parse("".join(self._text), self._call.body, f"call_{self.reply_id[-12:]}")
        self._finished = True
        chunks = []
        if wants_tools(self._call.body):
            delta: dict[str, Any] = {"role": "assistant", "content": self._said.text or None}
            if self._said.tool_calls:
                delta["tool_calls"] = [{"index": i, **c} for i, c in enumerate(self._said.tool_calls)]
            chunks.append(self._chunk(delta))
        chunks.append(self._chunk({}, finish=self._said.finish_reason))
        asked = (self._call.body.get("stream_options") or {}).get("include_usage")
        counted = {**self._head(), "choices": [], "usage": openai_usage(self._usage)}
        chunks.append(Chunk(counted, raw=encode("", json.dumps(counted).encode()) if asked else b"", usage=self._usage))
        chunks.append(Chunk({}, raw=encode("", b"[DONE]"), last=True))
        return chunks

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> Chunk:
        data = {**self._head(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        return Chunk(data, raw=encode("", json.dumps(data).encode()))

    def _head(self) -> dict[str, Any]:
        return {"id": self.reply_id, "object": "chat.completion.chunk", "created": 0, "model": self._call.model_id}

    def _count(self, tokens: Mapping[str, Any]) -> None:
        cache = tokens.get("cache") or {}
        self._usage = Usage(
            self._usage.input_tokens + number(tokens.get("input")),
            self._usage.output_tokens + number(tokens.get("output")) + number(tokens.get("reasoning")),
            self._usage.cache_read_tokens + number(cache.get("read")),
            self._usage.cache_write_tokens + number(cache.get("write")),
        )

    def _error_facts(self, error: Mapping[str, Any]) -> Facts:
        data = error.get("data") or {}
        status = data.get("statusCode")
        headers = data.get("responseHeaders")
        body = str(data.get("responseBody") or data.get("message") or error.get("name") or "")[:MAX_ERROR_BYTES]
        if isinstance(status, int) and status >= 400:
            return Facts(self._provider, "http", status, lowered(headers if isinstance(headers, Mapping) else {}), body)
        return Facts(self._provider, "program", where="error", body=body, detail=str(data.get("message") or error.get("name") or "")[:300])

    def _failure(self, where: str, detail: str) -> ProviderFailure:
        return ProviderFailure(Facts(self._provider, "program", where=where, detail=detail))

    async def _listen(self, stream: asyncio.StreamReader) -> bytes:
        """Its log: keeps the last words, drops the rest so that the program never blocks on a full pipe, and hears of refusals."""
        kept = b""
        while data := await stream.read(65_536):
            kept = (kept + data)[-_KEPT_ERROR_BYTES:]
            found = _REFUSED.search(kept.decode(errors="replace"))
            if found and not self._refused:
                self._refused = found[1]
                asyncio.get_running_loop().call_later(_GRACE_S, self._stop)
        return kept

    def _stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Tokens as Chat Completions reports them."""
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt, "completion_tokens": usage.output_tokens, "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
    }  # fmt: skip
