"""The ASGI application: reads a request, lets the weather in, answers, writes the log."""

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.emulator import control, dashboard, faults, observer
from reconciler.emulator.gate import answer
from reconciler.emulator.messages import Call, Reply
from reconciler.emulator.world import World

Break = Callable[[Scope], None]


def application(world: World, break_connection: Break) -> ASGIApp:
    """The application of one world; `break_connection` closes the socket of a request without an answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            call = await _call(world, Request(scope, receive))
        except ClientDisconnect:  # gone before its request had arrived: Batch never saw it
            return
        if call.path == "/" or call.path.startswith("/_emulator"):
            reply = dashboard.answer(world, call) if call.path == "/" else control.answer(world, call)
            await _response(reply)(scope, receive, send)
            return
        sent = await _weathered(world, call)
        if sent is not None:
            await _response(sent)(scope, receive, send)
            return
        break_connection(scope)
        for _ in range(3):  # let the loop notice that the connection is lost, so that nothing is answered
            await asyncio.sleep(0)

    return app


async def _call(world: World, request: Request) -> Call:
    body = await request.body()
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Call(
        method=request.method, path=raw.decode("latin-1"), query=query, headers=request.headers, body=body,
        now=world.now(), base_url=str(request.base_url).rstrip("/"),
    )  # fmt: skip


async def _weathered(world: World, call: Call) -> Reply | None:
    """The Reply to send, or None when the connection breaks."""
    weather = faults.draw(world)
    if weather.reset_before:
        world.record(call, None, fault=weather.name)
        return None
    reply = faults.page(weather.page) if weather.page else answer(world, call, fault=weather.refusal)
    name, lost = weather.name, weather.reset_after
    if not weather.page and faults.drops_first_write(world, call, reply):
        name, lost = name or "dropped_first_write", True
    if lost:
        observer.mark_lost(world, call)
    world.record(call, reply, fault=name)
    if weather.delay:
        await asyncio.sleep(weather.delay)
    return None if lost else reply


def _response(reply: Reply) -> Response:
    content = reply.content()
    kind = reply.content_type if content else None
    return Response(content, status_code=reply.status, headers=dict(reply.headers), media_type=kind)
