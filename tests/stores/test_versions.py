"""A document that did not come of the versions kept beside it is refused: it would forget what was sent."""

from __future__ import annotations

import pytest

from reconciler.errors import Lost, StateError
from reconciler.state.document import encode
from reconciler.state.names import slug_of
from reconciler.state.reader import StateReader
from reconciler.state.state import State
from reconciler.state.store import StateStore
from tests.state.kit import state, target
from tests.stores.conftest import Somewhere

WRONG = "was set back, or copied from elsewhere"


def written(where: Somewhere, count: int) -> list[tuple[State, bytes]]:
    """`count` versions, oldest first, each with its document; every one owns another audience."""
    store, now, found = StateStore(where.place()), state(), []
    for number in range(count):
        now = store.write(now.with_target(target(audience=f"a{number}")))
        found.append((now, document(where)))
    return found


def document(where: Somewhere) -> bytes:
    there = where.place().read("state.json")
    assert there is not None
    return there.data


def versions(where: Somewhere) -> dict[str, bytes]:
    place = where.place()
    return {name: found.data for name in place.names("previous/") if (found := place.read(name))}


def refused(where: Somewhere, words: str) -> StateError:
    """Whoever reads or writes is refused."""
    for machine in ("one", "two"):
        for attempt in (StateReader(where.place(machine)).read, lambda: StateStore(where.place()).write(state(2))):
            with pytest.raises(StateError, match=f"{WRONG}\n.*{words}") as caught:
                attempt()
    return caught.value


def test_a_document_set_back_alone_is_refused_and_there_is_a_way_out(anywhere: Somewhere) -> None:
    _, (_, older), *_ = written(anywhere, 5)
    before = versions(anywhere)
    anywhere.place().put("state.json", older)
    error = refused(anywhere, "its serial is 2, and .*state-4.json is of a later version")
    assert "batchctl state pull --serial 4 --out FILE, then batchctl state push --force FILE" in error.fix
    store = StateStore(anywhere.place())
    pushed = store.restore(before["previous/state-4.json"], where="it", force=True)
    assert pushed.serial == 6, "the version that was lost had serial 5"
    assert set(pushed.targets) == {str(target(audience=f"a{n}").key) for n in range(4)}
    now = store.write(pushed)
    assert StateReader(anywhere.place("two")).read() == now
    after = versions(anywhere)
    assert {name: after[name] for name in before} == before
    assert after["previous/unreadable.json"] == older


def test_a_document_set_back_may_be_pulled_and_pushed(anywhere: Somewhere) -> None:
    _, (older, text), *_ = written(anywhere, 4)
    anywhere.place().put("state.json", text)
    assert StateReader(anywhere.place("two")).document() == older
    pushed = StateStore(anywhere.place()).restore(text, where="it", force=True)
    assert StateReader(anywhere.place("two")).read() == pushed


def test_a_version_kept_by_a_run_that_was_killed_then_is_the_document_itself(anywhere: Somewhere) -> None:
    *_, (last, text) = written(anywhere, 3)
    anywhere.place().put("previous/state-3.json", text)
    store = StateStore(anywhere.place("two"))
    assert store.read() == last
    assert store.write(last) == StateReader(anywhere.place()).read()
    assert versions(anywhere)["previous/state-3.json"] == text


def test_set_back_by_one_version_after_something_was_sent_is_refused(anywhere: Somewhere) -> None:
    _, (_, older), _ = written(anywhere, 3)
    anywhere.place().put("state.json", older)
    assert StateReader(anywhere.place()).read() is not None, "nothing was sent: as good as killed before the write"
    anywhere.place().put("targets/a/acks-3-f00.jsonl", b"")
    error = refused(anywhere, "its serial is 2, and .*acks-3-f00.jsonl is of a later version")
    assert "--serial 2 --out" in error.fix
    pushed = StateStore(anywhere.place()).restore(older, where="it", force=True)
    assert StateReader(anywhere.place()).read() == pushed


def test_where_no_version_is_kept_a_log_of_a_later_one_tells(anywhere: Somewhere) -> None:
    ((_, text),) = written(anywhere, 1)
    anywhere.place().put("targets/a/acks-1-f00.jsonl", b"")
    assert StateReader(anywhere.place()).read() is not None
    anywhere.place().put("targets/a/acks-7-f00.jsonl", b"")
    error = refused(anywhere, "acks-7-f00.jsonl is of a later version")
    assert "batchctl state pull --out FILE, then" in error.fix
    pushed = StateStore(anywhere.place()).restore(text, where="it", force=True)
    assert StateReader(anywhere.place()).read() == pushed


def test_another_document_with_the_serial_of_a_kept_version_is_refused(anywhere: Somewhere) -> None:
    written(anywhere, 4)
    anywhere.place().put("state.json", encode(state(3)))
    refused(anywhere, "its serial is 3, and .*state-3.json is another version with that serial")


@pytest.mark.parametrize("serial", [4, 40])
def test_a_document_of_another_lineage_is_refused_until_it_is_pushed(anywhere: Somewhere, serial: int) -> None:
    written(anywhere, 4)
    before, other = versions(anywhere), encode(state(serial, lineage="l-2"))
    anywhere.place().put("state.json", other)
    refused(anywhere, "its lineage is l-2, that of version 3 is l-1")
    store = StateStore(anywhere.place())
    pushed = store.restore(other, where="it", force=True)
    for _ in range(2):
        assert StateReader(anywhere.place("two")).read() == pushed
        pushed = store.write(pushed)
    assert pushed.lineage == "l-2"
    after = versions(anywhere)
    assert {name: after[name] for name in before} == before


def test_versions_that_nobody_can_read_or_that_are_gone_prove_nothing(anywhere: Somewhere) -> None:
    *_, (last, _) = written(anywhere, 4)
    anywhere.place().remove("previous/state-2.json")
    anywhere.place().put("previous/state-3.json", b"{")
    assert StateReader(anywhere.place()).read() == last
    for name in anywhere.place().names("previous/"):
        anywhere.place().remove(name)
    assert StateReader(anywhere.place()).read() == last


def test_a_version_that_is_kept_is_never_kept_anew(anywhere: Somewhere) -> None:
    place = anywhere.place()
    place.put("previous/state-1.json", b"kept")
    first = place.replace("state.json", b"1", before=None)
    place.replace("state.json", b"2", before=first, keep="previous/state-1.json")
    assert versions(anywhere) == {"previous/state-1.json": b"kept"}


def test_a_state_begun_anew_where_another_was_lost_is_later_than_its_files(anywhere: Somewhere) -> None:
    for name in ("delta-7-f00.parquet", "acks-7-f00.jsonl"):
        anywhere.place().put(f"targets/{slug_of(target().key)}/{name}", b"rows")
    store = StateStore(anywhere.place(), project="shop", environment="prod")
    store.begin_anew()
    assert store.read() is None
    written = store.write(store.new())
    assert (written.serial, written.project, written.environment) == (8, "shop", "prod")
    assert StateReader(anywhere.place("two")).read() == written
    assert store.sweep(written) == (), "until it is ours again, they say what Batch was told"
    assert len(store.sweep(store.write(written.with_target(target())))) == 2


def test_a_lost_document_of_which_files_are_left_is_not_a_new_one(anywhere: Somewhere) -> None:
    place = anywhere.place()
    place.put("targets/a/delta-2-f00.parquet", b"rows")
    with pytest.raises(Lost, match="is missing, but files of its targets are there") as caught:
        StateReader(anywhere.place("two")).read()
    assert "batchctl state push --force FILE; or start anew: see batchctl plan" in caught.value.fix
    pushed = StateStore(anywhere.place()).restore(encode(state(1)), where="it", force=True)
    assert StateReader(anywhere.place()).read() == pushed
