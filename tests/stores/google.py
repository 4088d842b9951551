"""A strict Google Cloud Storage of one bucket on loopback: as much of its XML API as an object store's client may use.

https://cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.sax.saxutils import escape, unescape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

ROBOT = "state@crm-state.iam.gserviceaccount.com"
QUOTES = {"&quot;": '"'}
PAGE = 3
"""Names per page of a listing; Google's own limit is 1,000."""


@dataclass(frozen=True)
class Kept:
    """One generation of an object."""

    data: bytes
    generation: int
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"',
            "x-goog-generation": str(self.generation),
            "Last-Modified": self.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        }


class Refused(Exception):
    """A status and Google's code for it."""


class Storage:
    """The bucket. `busy` is how often a write is answered by 429 before one goes through; `waits` may hold one back."""

    def __init__(self, bucket: str) -> None:
        self.bucket, self.busy = bucket, 0
        self.append_only = False
        """Nobody may delete."""
        self.objects: dict[str, Kept] = {}
        self.uploads: dict[str, dict[int, Kept]] = {}
        self.waits: Callable[[str, str], None] = lambda _method, _name: None
        """Called with each request before it is carried out."""
        self.mutex, self.numbers = threading.RLock(), itertools.count(1_700_000_000_000_000)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def account(self) -> str:
        """A service account's JSON, as Google's console writes it."""
        forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        pem = self.key.private_bytes(*forms).decode()
        return json.dumps(
            {"type": "service_account", "client_email": ROBOT, "private_key": pem, "private_key_id": "key-1"}
        )

    def authorize(self, header: str) -> None:
        """A token the account has signed itself: https://google.aip.dev/auth/4111"""
        head, claims, signature = (header.removeprefix("Bearer ") + "..").split(".")[:3]
        try:
            self.key.public_key().verify(_decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())
            who = json.loads(_decoded(claims))
        except (InvalidSignature, ValueError):
            raise Refused(401, "AuthenticationRequired") from None
        if who["iss"] != ROBOT or who["exp"] < datetime.now(UTC).timestamp():
            raise Refused(401, "AuthenticationRequired")

    def write(self, name: str, data: bytes, condition: str | None) -> Kept:
        """`x-goog-if-generation-match`: 0 means that there is none."""
        there = self.objects.get(name)
        if condition is not None and int(condition) != (there.generation if there else 0):
            raise Refused(412, "PreconditionFailed")
        if self.busy:
            self.busy -= 1
            raise Refused(429, "SlowDown")
        self.objects[name] = Kept(data, next(self.numbers))
        return self.objects[name]

    def listing(self, asked: Mapping[str, str]) -> str:
        """`list-type=2`: whole names, sorted by their bytes, a page at a time."""
        if asked.get("list-type") != "2" or not asked.keys() <= {"list-type", "prefix", "continuation-token"}:
            raise Refused(400, "InvalidArgument")
        after = base64.b64decode(asked.get("continuation-token", "")).decode()
        names = sorted(one for one in self.objects if one.startswith(asked.get("prefix", "")) and one > after)
        page, more = names[:PAGE], len(names) > PAGE
        token = base64.b64encode(page[-1].encode()).decode() if more else ""
        return (
            f"<ListBucketResult><Name>{self.bucket}</Name><KeyCount>{len(page)}</KeyCount>"
            + "".join(_listed(name, self.objects[name]) for name in page)
            + (f"<NextContinuationToken>{token}</NextContinuationToken>" if more else "")
            + f"<IsTruncated>{str(more).lower()}</IsTruncated></ListBucketResult>"
        )

    def upload(self, request: Request, name: str) -> Response:
        """https://cloud.google.com/storage/docs/xml-api/post-object-multipart"""
        if "uploads" in request.args:
            number = str(next(self.numbers))
            self.uploads[number] = {}
            return Response(
                f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            )
        parts = self.uploads.get(request.args["uploadId"])
        if parts is None:
            raise Refused(404, "NoSuchUpload")
        if request.method == "PUT":
            parts[int(request.args["partNumber"])] = part = Kept(request.get_data(), 0)
            return Response(headers={"ETag": part.headers["ETag"]})
        told = re.findall(r"<ETag>(.+?)</ETag><PartNumber>(\d+)<", unescape(request.get_data(as_text=True), QUOTES))
        pieces = [parts[number] for number in sorted(parts)]
        if told != [(parts[number].headers["ETag"], str(number)) for number in sorted(parts)]:
            raise Refused(400, "InvalidPart")
        if any(len(part.data) < 5 << 20 for part in pieces[:-1]):
            raise Refused(400, "EntityTooSmall")
        done = self.write(name, b"".join(part.data for part in pieces), None)
        del self.uploads[request.args["uploadId"]]
        tag = f"<CompleteMultipartUploadResult><ETag>{escape(done.headers['ETag'])}</ETag></CompleteMultipartUploadResult>"
        return Response(tag, headers=done.headers)

    @Request.application
    def serve(self, request: Request) -> Response:
        """One request."""
        bucket, _, name = request.path.removeprefix("/").partition("/")
        self.waits(request.method, name)
        try:
            with self.mutex:
                self.authorize(request.headers.get("Authorization", ""))
                if bucket != self.bucket:
                    raise Refused(404, "NoSuchBucket")
                return self.result(request, name)
        except Refused as refused:
            status, code = refused.args
            return Response(f"<Error><Code>{code}</Code><Message>{bucket}</Message></Error>", status)

    def result(self, request: Request, name: str) -> Response:
        """What Google would answer to a request it lets in."""
        writes = request.method in ("PUT", "POST")
        if request.method == "GET" and not name:
            return Response(self.listing(request.args))
        if request.args and writes:
            return self.upload(request, name)
        if request.args or not name or "Range" in request.headers:
            raise Refused(400, "InvalidArgument")
        if writes:
            done = self.write(name, request.get_data(), request.headers.get("x-goog-if-generation-match"))
            return Response(headers=done.headers)
        if name not in self.objects:
            raise Refused(404, "NoSuchKey")
        if request.method == "DELETE" and self.append_only:
            raise Refused(403, "AccessDenied")
        if request.method == "DELETE":
            del self.objects[name]
            return Response(status=204)
        return Response(self.objects[name].data, headers=self.objects[name].headers)


@contextmanager
def storage(bucket: str) -> Iterator[tuple[Storage, str]]:
    """A bucket that is served for the block, and the address of the service."""
    found = Storage(bucket)
    server = make_server("127.0.0.1", 0, found.serve, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield found, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _listed(name: str, kept: Kept) -> str:
    tag = escape(kept.headers["ETag"])
    modified = kept.modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"<Contents><Key>{escape(name)}</Key><Generation>{kept.generation}</Generation><ETag>{tag}</ETag>"
        f"<LastModified>{modified}</LastModified><Size>{len(kept.data)}</Size></Contents>"
    )
