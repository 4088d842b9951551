"""Under the preset `harsh`, and under combinations of switches, a careful client still gets where it wants."""

from itertools import pairwise

import pytest

from reconciler.emulator.switches import resolve
from tests.emulator.kit import Batch


def harsh() -> Batch:
    return Batch(**resolve("harsh", {}))


def test_a_careful_client_converges() -> None:
    b = harsh()
    assert b.cep("audiences/create", {"name": "a", "type": "custom_ids"}).status == 202
    assert b.view()["status"] == 404
    b.later(100)
    assert b.view()["status"] == 200
    b.update({"action": "add", "id": "x", "attributes": {"tier": "gold", "score": 1}}, "y")
    b.update({"action": "remove", "id": "x"})  # dropping a key: remove, barrier, add
    b.update({"action": "add", "id": "x", "attributes": {"tier": "silver"}})
    assert b.members() == {"x": {"tier": "silver"}, "y": {}}
    b.replace("z")
    b.update("w")
    assert set(b.members()) == {"z", "w"}
    b.later(100)
    assert b.view()["nb_ids"] == 2
    assert b.breaches() == {}


def test_a_client_without_barriers_loses() -> None:
    b = harsh()
    b.cep("audiences/create", {"name": "a", "type": "custom_ids"})
    b.later(100)
    b.replace("one", settle=False)
    b.update("two", settle=False)
    b.later(100)
    assert set(b.members()) == {"one"}
    assert "replace_without_barrier" in b.breaches()


def test_states_of_a_write_only_move_forward() -> None:
    b = Batch().made()
    b.update("x", settle=False)
    states = []
    for _ in range(5):
        states.append(b.view()["indexing_state"])
        b.later(4)
    order = ["IN_PROGRESS", "APPLIED"]
    assert all(order.index(one) <= order.index(two) for one, two in pairwise(states))
    assert states[-1] == "APPLIED"


def test_on_accept_counts_what_is_pending() -> None:
    b = Batch(nb_ids_timing="on_accept").made()
    b.update("x", "y", settle=False)
    b.replace("y", "z", "w", settle=False)
    b.update({"action": "remove", "id": "z"}, {"action": "remove", "id": "absent"}, settle=False)
    assert b.view()["nb_ids"] == 2
    b.later(100)
    assert b.view()["nb_ids"] == len(b.members()) == 2


@pytest.mark.parametrize("ordering", ["in_order", "any_order"])
def test_count_is_true_after_any_sequence(ordering: str) -> None:
    b = Batch(write_ordering=ordering).made()
    for n in range(12):
        if n % 5 == 4:
            b.replace(f"u{n}", f"u{n % 3}", settle=False)
        else:
            b.update(f"u{n % 4}", {"action": "remove", "id": f"u{(n + 1) % 4}"}, settle=False)
        b.later(3)
    b.later(100)
    assert b.view()["nb_ids"] == len(b.members())


def test_a_removed_audience_keeps_nothing() -> None:
    b = Batch().made()
    b.update("x", settle=False)
    b.cep("audiences/remove", {"name": "a"})
    b.made()
    assert b.members() == {}
    assert b.view()["indexing_state"] == "APPLIED"
