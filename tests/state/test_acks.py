"""Acknowledgements: a line that is there was on disk before the next request; a torn one was never there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import StateError
from reconciler.state.ack import Ack, Line, Sending, Unfinished, decode, encode, folded
from reconciler.state.acks import AckLog, read_acks
from tests.state.kit import NOW, python


def ack(batch: int, *refused: tuple[int, str]) -> Ack:
    """Batch `batch` of ten rows each."""
    return Ack(start=10 * batch, stop=10 * batch + 10, token=f"t{batch}", at=NOW, refused=refused)


def test_no_log_is_no_acknowledgement(tmp_path: Path) -> None:
    assert read_acks(tmp_path / "none") == ()


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    written = [
        ack(0),
        ack(1, (12, "not a UUID"), (13, "réf\n usé")),
        Ack(start=20, stop=21, token=None, at=NOW),
    ]
    path = tmp_path / "targets" / "a" / "acks"
    with AckLog(path) as log:
        for one in written[:2]:
            log.append(one)
    with AckLog(path) as log:
        log.append(written[2])
    assert list(read_acks(path)) == written
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(st.data())
def test_a_log_cut_anywhere_holds_the_lines_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("a") / "acks"
    written = [ack(n, *([(n, "é" * n)] * n)) for n in range(4)]
    with AckLog(path) as log:
        for one in written:
            log.append(one)
    text = path.read_bytes()
    cut = data.draw(st.integers(0, len(text)))
    zeros = data.draw(st.integers(0, 20))
    path.write_bytes(text[:cut] + b"\0" * zeros)
    left = text[:cut].count(b"\n")
    assert list(read_acks(path)) == written[:left]
    with AckLog(path) as log:
        log.append(ack(9))
    assert list(read_acks(path)) == [*written[:left], ack(9)]


def test_a_last_line_whose_blocks_are_lost_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "acks"
    AckLog(path).append(ack(0))
    path.write_bytes(path.read_bytes() + b"\0" * 4096 + b'"x"]]}\n')
    assert list(read_acks(path)) == [ack(0)]
    AckLog(path).append(ack(1))
    assert list(read_acks(path)) == [ack(0), ack(1)]


LINES: list[tuple[Line, bytes]] = [
    (
        Sending(start=3, stop=5, at=NOW),
        b'{"batch":-1,"start":3,"stop":5,"token":null,"at":"2026-11-03T12:30:00+00:00","refused":[]}',
    ),
    (
        Ack(start=3, stop=5, token="t", at=NOW, refused=((4, "no such person"),)),
        b'{"batch":0,"start":3,"stop":5,"token":"t","at":"2026-11-03T12:30:00+00:00","refused":[[4,"no such person"]]}',
    ),
    (
        Ack(start=5, stop=5, token=None, at=NOW),
        b'{"batch":0,"start":5,"stop":5,"token":null,"at":"2026-11-03T12:30:00+00:00","refused":[]}',
    ),
    (
        Unfinished(at=NOW),
        b'{"batch":-1,"start":0,"stop":0,"token":null,"at":"2026-11-03T12:30:00+00:00","refused":[]}',
    ),
]


@pytest.mark.parametrize(("line", "text"), LINES, ids=["starts", "answered", "nothing taken", "unfinished"])
def test_a_line_has_the_bytes_it_always_had(line: Line, text: bytes) -> None:
    assert encode(line) == text
    assert decode(text) == line
    assert decode(text.replace(b'"batch":0', b'"batch":7')) == line, "once the number of the planned request"


@pytest.mark.parametrize(
    ("lines", "in_flight"), [(0, False), (1, True), (2, False), (3, False), (4, True)], ids=[*"01234"]
)
def test_what_a_log_ends_with_says_whether_a_request_may_be_in_flight(lines: int, in_flight: bool) -> None:
    found = folded([line for line, _ in LINES[:lines]])
    assert (found.in_flight is not None) is in_flight
    assert (found.accepted, found.told) == ((((3, 5),), ((3, 4),)) if lines > 1 else ((), ()))


def test_damage_that_no_crash_explains_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "acks"
    AckLog(path).append(ack(0))
    AckLog(path).append(ack(1))
    path.write_bytes(path.read_bytes().replace(b'"batch":0', b'"botch":0'))
    with pytest.raises(StateError, match=r"line 1 .* damaged"):
        read_acks(path)


NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from reconciler.errors import StateError
from reconciler.state.acks import AckLog
from tests.state.test_acks import ack
path = Path(sys.argv[1])
log = AckLog(path)
log.append(ack(0))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 30, resource.RLIM_INFINITY))
try:
    log.append(ack(1))
except StateError as error:
    print(error.what)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(ack(2))
"""


def test_no_room_for_a_line_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    done = python(NO_ROOM, tmp_path / "acks")
    assert done.returncode == 0, done.stderr
    assert "could not write the acknowledgement log" in done.stdout
    assert list(read_acks(tmp_path / "acks")) == [ack(0), ack(2)]
