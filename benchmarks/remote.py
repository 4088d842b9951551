"""What one run writes into a bucket, against the size of its delta file.

    python -m benchmarks.remote --rows 1m --attributes 2

The state is in moto's S3; a proxy in front of it counts every byte that `apply` sends, headers, lock, acknowledgements and
retries included. First everybody is uploaded, then 1 % joined, 1 % left and 2 % changed. Target: the second run sends at
most 1.5 × the size of its delta file. Parquet's own footer and the state document weigh on small deltas.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import people, sink
from benchmarks.kit import batchctl, measured, number
from tests.stores import servers


class Meter:
    """A loopback proxy that adds up the bytes clients send."""

    def __init__(self, port: int) -> None:
        self._port, self._lock, self.bytes = port, threading.Lock(), 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._port))
            for one, other, counted in ((peer, there, True), (there, peer, False)):
                threading.Thread(target=self._pass, args=(one, other, counted), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, counted: bool) -> None:  # noqa: FBT001 — a thread's argument
        try:
            while data := one.recv(1 << 16):
                if counted:
                    with self._lock:
                        self.bytes += len(data)
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            other.close()


@contextmanager
def metered() -> Iterator[tuple[Meter, dict[str, str]]]:
    with servers.s3() as environ:
        meter = Meter(int(environ["AWS_ENDPOINT_URL"].rpartition(":")[2]))
        try:
            yield meter, environ | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{meter.socket.getsockname()[1]}"}
        finally:
            meter.socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=number, default="1m")
    parser.add_argument("--attributes", type=int, default=2)
    asked = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's server tells of every request
    with tempfile.TemporaryDirectory(prefix="bench-") as name, metered() as (meter, environ), sink.serving() as url:
        folder = Path(name) / "project"
        people.specs(folder, attributes=asked.attributes)
        specs = folder / "specs.yaml"
        where = f"name: bench\nstate: {{url: s3://{servers.BUCKET}/bench}}\n"
        specs.write_text(specs.read_text().replace("name: bench\n", where, 1))
        env = {**people.KEYS, **environ, "BATCHCTL_API_URL": url}
        print(f"{asked.rows:,} members, {asked.attributes} attributes")
        for before in (True, False):
            made = people.members(Path(name), rows=asked.rows, attributes=asked.attributes, before=before)
            shutil.move(made, folder / "customers.parquet")
            begun, known = meter.bytes, set(_files(folder))
            measured(batchctl("apply", "-C", folder, "--auto-approve"), env=env)
            sent = meter.bytes - begun
            (file,) = (path for path in _files(folder) if path not in known and "delta" in path.name)
            size = file.stat().st_size
            what = "first upload" if before else "delta"
            print(
                f"{what:13} delta file {size:12,} bytes, sent to the bucket {sent:12,} = {sent / size:.3f} × (target 1.5)"
            )


def _files(folder: Path) -> list[Path]:
    """Files that this machine has put into the bucket, as it keeps them."""
    return [Path(found) / name for found, _, names in os.walk(folder / ".batchctl") for name in names]


if __name__ == "__main__":
    main()
