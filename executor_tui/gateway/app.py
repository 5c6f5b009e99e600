"""The routes of the door."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from executor_tui.gateway.errors import Problem, Surface, body_of
from executor_tui.gateway.exchange import Door
from executor_tui.gateway.exchange import handler as serve_wire
from executor_tui.gateway.listing import Listing
from executor_tui.gateway.reading import MAX_BODY_BYTES


def make_app(door: Door, listing: Listing) -> web.Application:
    """The aiohttp application. Paths answer with and without /v1, because clients differ in what they call a base URL."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_shaped_errors])
    for prefix in ("/v1", ""):
        app.router.add_post(f"{prefix}/chat/completions", serve_wire(door, "chat"))
        app.router.add_post(f"{prefix}/responses", serve_wire(door, "responses"))
        app.router.add_post(f"{prefix}/messages", serve_wire(door, "messages"))
        app.router.add_post(f"{prefix}/messages/count_tokens", listing.count_tokens)
        app.router.add_get(f"{prefix}/models", listing.list_models)
        app.router.add_get(f"{prefix}/models/{{model:.+}}", listing.one_model)
    app.router.add_get("/healthz", listing.health)
    app.router.add_get("/metrics", listing.metrics)
    return app


@web.middleware
async def _shaped_errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """What aiohttp itself refuses (no such path, no such method), in the client's shape."""
    try:
        return await handler(request)
    except web.HTTPException as exc:
        surface: Surface = "messages" if "/messages" in request.path else "chat"
        words = {404: f"there is nothing at {request.path}", 405: f"{request.path} does not take {request.method}"}
        problem = Problem(exc.status, "not_found" if exc.status == 404 else "refused", words.get(exc.status, exc.reason))
        return web.json_response(body_of(problem, surface), status=exc.status)
