"""Running the emulator with uvicorn: in the main thread until a signal, or in a thread for the length of a block."""

import contextlib
import signal
import socket
import struct
import threading
from asyncio import Transport
from collections.abc import Callable, Generator, Iterator
from types import FrameType

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.emulator import Options
from reconciler.emulator.app import application
from reconciler.emulator.world import World

Connections = dict[tuple[str, int], Transport]


def _protocol(connections: Connections) -> type[H11Protocol]:
    """uvicorn's protocol, remembering the transport of each client so that a connection can be broken."""

    class Breakable(H11Protocol):
        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                connections[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            if self.client is not None:
                connections.pop(self.client, None)
            super().connection_lost(exc)

    return Breakable


def _break(connections: Connections, scope: Scope) -> None:
    """Close the socket of a request at once, with a reset."""
    transport = connections.get(tuple(scope["client"]))
    if transport is None:
        return
    held = transport.get_extra_info("socket")
    if held is not None:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Server(uvicorn.Server):
    """A server that reports when it listens and leaves signals to its caller."""

    on_ready: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.on_ready is not None:
            self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _prepare(options: Options) -> tuple[_Server, socket.socket, str, World]:
    world = World(options)
    connections: Connections = {}
    app = application(world, lambda scope: _break(connections, scope))
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # The protocol is named because asyncio only then turns Nagle's algorithm off: 40 ms for each small answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((options.host, options.port))
    config = uvicorn.Config(
        app, http=_protocol(connections), ws="none", lifespan="off", log_config=None, access_log=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=1, server_header=False,
    )  # fmt: skip
    host = f"[{options.host}]" if ":" in options.host else options.host
    return _Server(config), listening, f"http://{host}:{listening.getsockname()[1]}", world


def serve(options: Options, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then close the database and return."""
    server, listening, url, world = _prepare(options)
    server.on_ready = (lambda: ready(url)) if ready is not None else None

    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
        world.store.db.close()


@contextlib.contextmanager
def running(options: Options) -> Iterator[str]:
    """Serve in a thread; the base URL is reachable for the length of the block."""
    server, listening, url, world = _prepare(options)
    listens = threading.Event()
    server.on_ready = listens.set
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="emulator", daemon=True)
    thread.start()
    try:
        if not listens.wait(10):
            raise RuntimeError("the emulator did not start within 10 seconds")
        yield url
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        world.store.db.close()
