"""The fastest server that speaks enough of Batch's CEP API for a client: bodies are drained, counted and accepted.

Audiences named on the command line exist already and are indexed. `serving` runs it in a process of its own, so that
its processor time is not the client's.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.kit import PYTHON, ROOT

CREATED = "2026-01-01T00:00:00Z"


@dataclass(slots=True)
class World:
    """What the server knows."""

    names: set[str] = field(default_factory=set)
    counting: bool = False
    """Whether rows are counted, which takes the server time."""
    requests: int = 0
    bytes: int = 0
    adds: int = 0
    removes: int = 0
    paths: dict[str, int] = field(default_factory=dict)


def shown(name: str) -> dict[str, object]:
    return {"name": name, "type": "CUSTOM_ID", "created": CREATED, "indexing_state": "APPLIED"}


def answer(world: World, method: str, target: str, body: memoryview) -> dict[str, object]:
    """The body of a 2xx."""
    path, _, query = target.partition("?")
    verb = path.rpartition("/")[2]
    if path == "/stats":
        found = {"requests": world.requests, "bytes": world.bytes, "paths": world.paths}
        return found | {"adds": world.adds, "removes": world.removes}
    if path in ("/forget", "/recount"):
        world.paths.clear()
        world.adds = world.removes = 0
    if path == "/forget":
        world.names.clear()
    world.requests += 1
    world.bytes += len(body)
    world.paths[path] = world.paths.get(path, 0) + 1
    if world.counting and verb in ("update", "replace"):
        whole = bytes(body)
        world.removes += whole.count(b'"remove"')
        world.adds += whole.count(b'"add"')
    match method, verb:
        case "GET", "list":
            return {"audiences": [shown(name) for name in sorted(world.names)], "has_more": False}
        case "GET", "view":
            name = dict(part.split("=", 1) for part in query.split("&") if "=" in part).get("name", "")
            return shown(name) if name in world.names else {}
        case "POST", "create":
            world.names.add(json.loads(bytes(body))["name"])
    return {"indexing_token": f"{world.requests:032x}"}


def talk(world: World, peer: socket.socket) -> None:
    """One keep-alive connection."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    room = bytearray(1 << 22)
    with peer:
        while head := _head(peer, room):
            lines, have = head
            method, target, _ = lines[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            body = _body(peer, room, have, int(headers.get("content-length", 0)))
            out = json.dumps(answer(world, method, target, body)).encode()
            status = b"202 Accepted" if method == "POST" else b"200 OK"
            peer.sendall(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(out), out)
            )


def _head(peer: socket.socket, room: bytearray) -> tuple[list[str], int] | None:
    have = 0
    while (end := room.find(b"\r\n\r\n", 0, have)) < 0:
        got = peer.recv_into(memoryview(room)[have:])
        if not got:
            return None
        have += got
    lines = room[:end].decode().split("\r\n")
    rest = have - end - 4
    room[:rest] = room[end + 4 : have]
    return lines, rest


def _body(peer: socket.socket, room: bytearray, have: int, length: int) -> memoryview:
    if length > len(room):
        room.extend(bytes(length - len(room)))
    view = memoryview(room)
    while have < length:
        have += peer.recv_into(view[have:length])
    return view[:length]


def main() -> None:
    world = World(names=set(sys.argv[1:]) - {"--count"}, counting="--count" in sys.argv)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            peer, _ = server.accept()
            threading.Thread(target=talk, args=(world, peer), daemon=True).start()


@contextmanager
def serving(*names: str, count: bool = False) -> Iterator[str]:
    """A server in its own process that knows these audiences; its URL."""
    command = [PYTHON, "-m", "benchmarks.sink", *names, *(["--count"] if count else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
