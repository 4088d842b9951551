"""A scripted loopback server that records every request, a clock that never waits, and openers for both clients."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from reconciler.address import account_of
from reconciler.batch import cep, mep
from reconciler.batch.cep import CepClient
from reconciler.batch.mep import MepClient
from reconciler.batch.pacing import Pacers
from reconciler.batch.transport import Attempt, Owner, RetryPolicy, Transport

REST, APP, PROJECT = "restkey0123456789", "ABCDEF0123456789", "project_0664hxvwffvbpn"
ACCOUNT = account_of(PROJECT)


class FakeClock:
    """Waits move it; `waits` keeps them. `cancel_after` sets the event during that wait."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []
        self.on_wait: Callable[[threading.Event], None] = lambda _event: None
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0 + self.now

    def wait(self, seconds: float, cancel: threading.Event) -> bool:
        with self._lock:
            if seconds > 0:
                self.waits.append(seconds)
                self.now += seconds
        self.on_wait(cancel)
        return cancel.is_set()


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Say:
    """One scripted answer; `reset` breaks the connection instead, `stall` answers nothing at all."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    stall: bool = False

    @property
    def raw(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()


Answer = Callable[[Seen], Say]


class Script:
    """Answers in turn, or from a function; asking for more than there is fails the test."""

    def __init__(self, *answers: Say, by: Answer | None = None) -> None:
        self.answers = list(answers)
        self.by = by
        self.seen: list[Seen] = []
        self.url = ""
        self.released = threading.Event()

    def answer(self, seen: Seen) -> Say:
        self.seen.append(seen)
        if self.by is not None:
            return self.by(seen)
        return self.answers.pop(0) if self.answers else Say(599, {"message": "the script is over"})


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            say = script.answer(Seen(self.command, url.path, dict(parse_qsl(url.query)), headers, body))
            if say.stall:
                script.released.wait(5)
            if say.reset or say.stall:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(say.status)
            for name, value in say.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(say.raw)))
            self.end_headers()
            self.wfile.write(say.raw)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_any  # noqa: N815

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving(*answers: Say, by: Answer | None = None) -> Iterator[Script]:
    script = Script(*answers, by=by)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(script))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


class World:
    """One client over one server, with its clock, cancel event and list of attempts."""

    def __init__(
        self, url: str, *, platform: str = "cep", retry: RetryPolicy | None = None, timeout: float = 5.0
    ) -> None:
        self.clock, self.cancel = FakeClock(), threading.Event()
        self.attempts: list[Attempt] = []
        self.pacers = Pacers(self.clock)
        key = PROJECT if platform == "cep" else APP
        self.bucket = self.pacers.requests("host", REST)
        self.transport = Transport(
            url,
            headers=cep.headers(REST, PROJECT) if platform == "cep" else mep.headers(REST),
            secrets={REST: "[REST key]", key: account_of(key)},
            owner=Owner(
                destination="shop", account=account_of(key), references=("${env:REST_KEY}", "${env:ACCOUNT_KEY}")
            ),
            pacer=self.bucket,
            retry=retry,
            clock=self.clock,
            cancel=self.cancel,
            on_attempt=self.attempts.append,
            request_timeout=timeout,
            jitter=lambda: 0.0,
        )
        self.buckets = {
            "profiles_update": self.pacers.profiles("host", ACCOUNT, "profiles_update"),
            "profiles_mass_update": self.pacers.profiles("host", ACCOUNT, "profiles_mass_update"),
        }
        self.client: CepClient | MepClient = (
            CepClient(self.transport, buckets=self.buckets)
            if platform == "cep"
            else MepClient(self.transport, application_key=APP)
        )

    @property
    def retry_waits(self) -> list[float]:
        return [attempt.retry_wait for attempt in self.attempts if attempt.retry_wait is not None]


@contextlib.contextmanager
def world(
    *answers: Say,
    by: Answer | None = None,
    platform: str = "cep",
    retry: RetryPolicy | None = None,
    timeout: float = 5.0,
) -> Iterator[tuple[World, Script]]:
    with serving(*answers, by=by) as script:
        one = World(script.url, platform=platform, retry=retry, timeout=timeout)
        try:
            yield one, script
        finally:
            one.client.close()


def audience(name: str, kind: str = "CUSTOM_ID", nb_ids: int = 0, **more: Any) -> dict[str, Any]:
    day = "2024-01-02T00:00:00Z"
    return {"name": name, "type": kind, "nb_ids": nb_ids, "created": day, "updated": day, **more}
