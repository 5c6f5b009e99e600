"""How each provider words its refusals and reports its limits. One class per provider, one table of error bodies in each.

Shapes: platform.openai.com/docs/guides/error-codes and /rate-limits, docs.anthropic.com/en/api/errors and /rate-limits,
ai.google.dev/gemini-api/docs/troubleshooting, openrouter.ai/docs/api/reference/errors-and-debugging, opencode.ai/docs/zen,
docs.perplexity.ai/guides/rate-limits-usage-tiers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from executor_tui.lab.upstreams.accounts import Refusal, Standing

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal on the wire."""

    status: int
    body: Any
    headers: Headers = field(default_factory=dict)

    def text(self) -> str:
        return json.dumps(self.body)


class Flavour(Protocol):
    """One provider's manners. `base_path` is what its base URL ends in; `wires` what it speaks."""

    base_path: str
    wires: frozenset[str]

    def refuse(self, refusal: Refusal, now: datetime) -> Refused: ...

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers: ...

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        """The JSON of an error event inside a stream that began with HTTP 200."""
        ...

    def screen(self, model: str, headers: Mapping[str, str]) -> str:
        """The kind of refusal that meets this client whatever its quota, or ""."""
        ...


class _Open:
    def screen(self, model: str, headers: Mapping[str, str]) -> str:
        return ""


def seconds_until(refusal: Refusal, now: datetime) -> float:
    return max(0.0, (refusal.resets_at - now).total_seconds()) if refusal.resets_at else 0.0


def go_duration(seconds: float) -> str:
    """As Go prints durations: 12ms, 1.5s, 6m0s, 1h0m3s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    tail = f"{left:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{int(hours)}h" if hours else "") + (f"{int(minutes)}m" if hours or minutes else "") + tail


class OpenAI(_Open):
    base_path, wires = "/v1", frozenset({"chat", "responses"})

    _TABLE: ClassVar = {
        "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: {detail}."),
        "rate_limited": (429, "{limit}", "rate_limit_exceeded", "Rate limit reached for {model} on {limit}: Limit {value}."),
        "daily_quota": (429, "requests", "rate_limit_exceeded", "Rate limit reached for {model} on requests per day (RPD): Limit {value}."),
        "credit": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan and billing."),
        "overloaded": (503, "server_error", "service_unavailable", "The engine is currently overloaded, please try again later"),
        "server": (500, "server_error", None, "The server had an error while processing your request. Sorry about that!"),
        "forbidden_model": (404, "invalid_request_error", "model_not_found", "The model `{model}` does not exist or is not yours."),
        "context_length": (400, "invalid_request_error", "context_length_exceeded", "Maximum context length is 128000 tokens."),
        "content_filter": (400, "invalid_request_error", "content_policy_violation", "Your request was rejected by the safety system."),
        "bad_request": (400, "invalid_request_error", None, "Invalid type for 'messages'."),
    }  # fmt: skip

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        status, kind, code, message = self._TABLE[refusal.kind]
        limit = {"tpm": "tokens", "rpm": "requests"}.get(refusal.limit, "requests")
        words = {"model": refusal.model, "limit": limit, "value": refusal.value, "detail": refusal.detail}
        error = {"message": message.format(**words), "type": kind.format(**words), "param": None, "code": code}
        headers: Headers = {}
        if refusal.kind in ("rate_limited", "daily_quota") and refusal.resets_at is not None:
            wait_s = seconds_until(refusal, now)
            headers = {"retry-after": str(max(1, round(wait_s))), "retry-after-ms": str(round(wait_s * 1000))}
            headers |= {f"x-ratelimit-remaining-{limit}": "0", f"x-ratelimit-reset-{limit}": go_duration(wait_s)}
        return Refused(status, {"error": error}, headers)

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        found: Headers = {"x-request-id": "req_lab"}
        for kind, name in (("rpm", "requests"), ("tpm", "tokens")):
            if kind in standing:
                left = standing[kind]
                found[f"x-ratelimit-limit-{name}"] = str(left.limit)
                found[f"x-ratelimit-remaining-{name}"] = str(left.remaining)
                found[f"x-ratelimit-reset-{name}"] = go_duration((left.resets_at - now).total_seconds())
        return found

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        return self.refuse(refusal, now).body


class Anthropic(_Open):
    base_path, wires = "/v1", frozenset({"messages", "count_tokens"})

    _TABLE: ClassVar = {
        "auth": (401, "authentication_error", "invalid x-api-key"),
        "rate_limited": (429, "rate_limit_error", "This would exceed your organization's rate limit of {value} {limit} per minute."),
        "daily_quota": (429, "rate_limit_error", "This request would exceed your organization's daily rate limit."),
        "credit": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API. Go to Plans & Billing."),
        "overloaded": (529, "overloaded_error", "Overloaded"),
        "server": (500, "api_error", "Internal server error"),
        "forbidden_model": (404, "not_found_error", "model: {model}"),
        "context_length": (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
        "content_filter": (400, "invalid_request_error", "Output blocked by content filtering policy"),
        "bad_request": (400, "invalid_request_error", "messages: at least one message is required"),
    }  # fmt: skip

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        status, kind, message = self._TABLE[refusal.kind]
        limit = {"tpm": "input tokens", "rpm": "requests"}.get(refusal.limit, "requests")
        text = message.format(model=refusal.model, value=refusal.value, limit=limit)
        headers: Headers = {"request-id": "req_lab"}
        if refusal.kind in ("rate_limited", "daily_quota") and refusal.resets_at is not None:
            headers["retry-after"] = str(max(1, round(seconds_until(refusal, now))))
            name = "tokens" if refusal.limit == "tpm" else "requests"
            headers[f"anthropic-ratelimit-{name}-remaining"] = "0"
            headers[f"anthropic-ratelimit-{name}-reset"] = rfc3339(refusal.resets_at)
        if status == 529:
            headers["x-should-retry"] = "true"
        return Refused(status, {"type": "error", "error": {"type": kind, "message": text}, "request_id": "req_lab"}, headers)

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        found: Headers = {"request-id": "req_lab"}
        for kind, name in (("rpm", "requests"), ("tpm", "tokens"), ("tpm", "input-tokens")):
            if kind in standing:
                left, prefix = standing[kind], f"anthropic-ratelimit-{name}"
                found |= {f"{prefix}-limit": str(left.limit), f"{prefix}-remaining": str(left.remaining)}
                found[f"{prefix}-reset"] = rfc3339(left.resets_at)
        return found

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        body = self.refuse(refusal, now).body
        return {"type": "error", "error": body["error"]}


class Gemini(_Open):
    """Google AI Studio's OpenAI-compatible endpoint: errors come as a JSON array, and never with a Retry-After header."""

    base_path, wires = "/v1beta/openai", frozenset({"chat"})

    _TABLE: ClassVar = {
        "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        "rate_limited": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
        "daily_quota": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
        "credit": (403, "PERMISSION_DENIED", "This API method requires billing to be enabled."),
        "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "server": (500, "INTERNAL", "An internal error has occurred."),
        "forbidden_model": (404, "NOT_FOUND", "models/{model} is not found for API version v1main"),
        "context_length": (400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens (1048576)."),
        "content_filter": (400, "INVALID_ARGUMENT", "The request was blocked because of prohibited content: PROHIBITED_CONTENT"),
        "bad_request": (400, "INVALID_ARGUMENT", "Invalid JSON payload received."),
    }  # fmt: skip
    _QUOTA_IDS: ClassVar = {
        "rpm": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "rpd": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "tpm": "GenerateContentInputTokensPerModelPerMinute-FreeTier",
    }

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        status, name, message = self._TABLE[refusal.kind]
        error: dict[str, Any] = {"code": status, "message": message.format(model=refusal.model), "status": name}
        if refusal.kind in ("rate_limited", "daily_quota"):
            error["details"] = self._details(refusal, now)
        elif refusal.kind == "auth":
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        return Refused(status, [{"error": error}])

    def _details(self, refusal: Refusal, now: datetime) -> list[dict[str, Any]]:
        limit = refusal.limit or ("rpd" if refusal.kind == "daily_quota" else "rpm")
        tokens = limit == "tpm"
        metric = "generate_content_free_tier_input_token_count" if tokens else "generate_content_free_tier_requests"
        violation = {
            "quotaMetric": f"generativelanguage.googleapis.com/{metric}", "quotaId": self._QUOTA_IDS.get(limit, self._QUOTA_IDS["rpm"]),
            "quotaDimensions": {"location": "global", "model": refusal.model}, "quotaValue": str(refusal.value),
        }  # fmt: skip
        # A daily violation carries a short delay all the same: it must not be believed.
        delay_s = 36.0 if refusal.kind == "daily_quota" else seconds_until(refusal, now)
        return [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
            {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{max(1, round(delay_s))}s"},
        ]

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        return {"server-timing": "gfet4t7; dur=12"}

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        body = self.refuse(refusal, now).body
        return body[0]


class OpenRouter(_Open):
    base_path, wires = "/api/v1", frozenset({"chat"})

    _TABLE: ClassVar = {
        "auth": (401, "No auth credentials found"),
        "rate_limited": (429, "Rate limit exceeded: free-models-per-min. "),
        "daily_quota": (429, "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day"),
        "credit": (402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits"),
        "overloaded": (503, "There is no available model provider that meets your routing requirements"),
        "server": (502, "Provider returned error"),
        "forbidden_model": (404, "No endpoints found for {model}."),
        "context_length": (400, "This endpoint's maximum context length is 131072 tokens."),
        "content_filter": (403, "Input was flagged by moderation"),
        "bad_request": (400, "Input must have at least 1 token."),
    }

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        status, message = self._TABLE[refusal.kind]
        error: dict[str, Any] = {"code": status, "message": message.format(model=refusal.model)}
        headers: Headers = {}
        if refusal.kind in ("rate_limited", "daily_quota") and refusal.resets_at is not None:
            reset_ms = str(int(refusal.resets_at.timestamp() * 1000))
            headers = {"X-RateLimit-Limit": str(refusal.value), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset_ms}
            error["metadata"] = {"headers": dict(headers), "provider_name": None}
        if refusal.kind == "content_filter":
            error["metadata"] = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI"}
        return Refused(status, {"error": error, "user_id": "user_lab"}, headers)

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        return {}

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        body = self.refuse(refusal, now).body
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "native_finish_reason": "error"}
        return {"id": "gen-lab", "object": "chat.completion.chunk", "error": body["error"], "choices": [choice]}


class Zen:
    """OpenCode Zen as an API (opencode.ai/zen/v1). Its free models refuse every client but the opencode program."""

    base_path, wires = "/zen/v1", frozenset({"chat", "responses", "messages"})
    free = ("big-pickle",)

    _TABLE: ClassVar = {
        "auth": (401, "AuthError", "Invalid API key."),
        "rate_limited": (429, "RateLimitError", "Rate limit exceeded. Please try again later."),
        "daily_quota": (429, "FreeUsageLimitError", "Rate limit exceeded. Please try again later."),
        "credit": (401, "CreditsError", "No payment method. Add a payment method here: https://opencode.ai/billing"),
        "monthly": (401, "MonthlyLimitError", "Your workspace has reached its monthly spending limit of $20."),
        "overloaded": (503, "error", "Service unavailable"),
        "server": (500, "error", "Internal server error"),
        "free_tier": (403, "FreeTierError", "Free models are only available in OpenCode."),
        "forbidden_model": (401, "ModelError", "Model {model} not supported"),
        "context_length": (400, "error", "prompt is too long: maximum context length is 128000 tokens"),
        "content_filter": (400, "error", "Your request was rejected by the safety system (content_policy_violation)."),
        "bad_request": (400, "error", "messages must not be empty"),
    }

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        status, kind, message = self._TABLE[refusal.kind]
        headers: Headers = {}
        if refusal.kind in ("rate_limited", "daily_quota") and refusal.resets_at is not None:
            headers["retry-after"] = str(max(1, round(seconds_until(refusal, now))))
        return Refused(status, {"type": "error", "error": {"type": kind, "message": message.format(model=refusal.model)}}, headers)

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        return {}

    def midway_error(self, refusal: Refusal, now: datetime) -> Any:
        return self.refuse(refusal, now).body

    def screen(self, model: str, headers: Mapping[str, str]) -> str:
        free = model in self.free or model.endswith("-free")
        return "free_tier" if free and "opencode/" not in headers.get("User-Agent", "") else ""


class Perplexity(OpenAI):
    base_path, wires = "", frozenset({"chat"})

    def refuse(self, refusal: Refusal, now: datetime) -> Refused:
        if refusal.kind == "auth":
            page = "<html>\n<head><title>401 Authorization Required</title></head>\n<body><center>openresty</center></body>\n</html>"
            return Refused(401, page, {"content-type": "text/html"})
        found = OpenAI.refuse(self, refusal, now)
        body = {"error": {"message": found.body["error"]["message"], "type": found.body["error"]["type"], "code": found.status}}
        return Refused(found.status, body)

    def headers(self, standing: dict[str, Standing], now: datetime) -> Headers:
        return {}


def rfc3339(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
