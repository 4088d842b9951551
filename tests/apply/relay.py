"""A proxy in front of the emulator that answers or holds back single writes: what a slow network does to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Verdict = Callable[[bytes], int | threading.Event | None]
"""What happens to a write, by its body: a status that answers it, an event it is held back for, or None: it goes on."""
_PASSED_ON = ("authorization", "content-type", "x-authorization", "x-batch-project")


@contextmanager
def relay(url: str, verdict: Verdict) -> Iterator[str]:
    """The address of the proxy."""
    with httpx.Client(base_url=url) as client:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                said = verdict(body) if body else None
                if isinstance(said, threading.Event):
                    said.wait(30)
                if isinstance(said, int):
                    self._reply(said, b"{}")
                    return
                headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
                reply = client.request(self.command, self.path, content=body, headers=headers)
                self._reply(reply.status_code, reply.content)

            def _reply(self, status: int, body: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # whoever asked is dead

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        for method in ("POST", "PATCH", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
