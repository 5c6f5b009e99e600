"""The small answers: models, token counts, health, metrics."""

from aiohttp import web

from executor_tui.config.models import ModelsSettings
from executor_tui.domain.errors import ExecutorError
from executor_tui.domain.model import Tier
from executor_tui.gateway.errors import Surface, body_of, headers_of, problem_of
from executor_tui.gateway.exchange import Door, authenticate
from executor_tui.gateway.reading import check_body, read_body
from executor_tui.hydra.features import read_features
from executor_tui.version import __version__

VIRTUAL = ("executor/auto", *(f"executor/{tier}" for tier in Tier))


class Listing:
    """Handlers that need no provider."""

    def __init__(self, door: Door, models: ModelsSettings) -> None:
        self._door = door
        self.models = models
        """Replaced when settings change."""

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models, in the shape of whoever asks."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        ids = [*VIRTUAL, *(m.id for m in self.models.models)]
        if "anthropic-version" in request.headers:
            entries = [{"type": "model", "id": i, "display_name": i, "created_at": "2026-01-01T00:00:00Z"} for i in ids]
            return web.json_response({"data": entries, "has_more": False, "first_id": ids[0], "last_id": ids[-1]})
        return web.json_response({"object": "list", "data": [self._entry(i) for i in ids]})

    async def one_model(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/models/{id}."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        wanted = request.match_info["model"]
        if wanted not in VIRTUAL and all(m.id != wanted for m in self.models.models):
            error = {"message": f"no model {wanted!r}; see GET /v1/models", "type": "invalid_request_error", "code": "model_not_found"}
            return web.json_response({"error": error}, status=404)
        return web.json_response(self._entry(wanted))

    async def count_tokens(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages/count_tokens: our own estimate. It needs neither a provider's key nor consent."""
        try:
            await authenticate(self._door, request)
            body = await read_body(request)
            check_body("messages", body)
        except ExecutorError as exc:
            problem = problem_of(exc, self._door.clock.now())
            return web.json_response(body_of(problem, "messages"), status=problem.status, headers=headers_of(problem))
        return web.json_response({"input_tokens": read_features("messages", body).input_tokens}, headers={"x-executor-estimate": "true"})

    async def health(self, request: web.Request) -> web.StreamResponse:
        """GET /healthz: that this process answers, and which version it is."""
        return web.json_response({"status": "ok", "version": __version__})

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """GET /metrics."""
        data, content_type = self._door.metrics.render()
        return web.Response(body=data, headers={"content-type": content_type})

    def _entry(self, model_id: str) -> dict[str, object]:
        model = next((m for m in self.models.models if m.id == model_id), None)
        found: dict[str, object] = {"id": model_id, "object": "model", "created": 1_767_225_600, "owned_by": "executor"}
        if model is not None:
            found["owned_by"] = model.routes[0].provider
            found["tier"] = model.tier.value
            found["context_window"] = model.context_tokens
            found["max_output_tokens"] = model.max_output_tokens
            found["capabilities"] = sorted(c.value for c in model.capabilities)
        return found

    async def _refused(self, request: web.Request) -> web.Response | None:
        try:
            await authenticate(self._door, request)
        except ExecutorError as exc:
            problem = problem_of(exc, self._door.clock.now())
            surface: Surface = "messages" if "anthropic-version" in request.headers else "chat"
            return web.json_response(body_of(problem, surface), status=problem.status)
        return None
