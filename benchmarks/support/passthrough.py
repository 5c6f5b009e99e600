"""The least a proxy in aiohttp can do: pass the body on, pass the answer back. `python -m support.passthrough UPSTREAM_URL`."""

import asyncio
import sys

import aiohttp
from aiohttp import web


async def serve(upstream: str) -> None:
    """Until standard input closes. Prints its port."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1024), cookie_jar=aiohttp.DummyCookieJar())

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with session.post(upstream + request.path, data=body, headers={"content-type": "application/json"}) as response:
            if response.content_type != "text/event-stream":
                return web.Response(body=await response.read(), content_type=response.content_type)
            answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await answer.prepare(request)
            async for data in response.content.iter_any():
                await answer.write(data)
            await answer.write_eof()
            return answer

    app = web.Application()
    app.router.add_post("/v1/chat/completions", forward)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    await runner.cleanup()
    await session.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
