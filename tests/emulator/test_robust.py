"""Whatever is sent, the emulator answers: arbitrary JSON on every route never raises, and the counts stay true."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.emulator.switches import resolve
from tests.emulator.kit import Batch

WORDS = st.sampled_from(
    ["name", "type", "ids", "id", "action", "add", "remove", "attributes", "tags", "identifiers", "custom_id", "update",
     "overwrite", "values", "u.a", "ut.t", "date(u.d)", "date(d)", "url(u)", "$add", "$topic_preferences", "$timezone",
     "a", "custom_ids", "emails", "export_type", "ATTRIBUTES", "filter", "segment", "", "A", "2024-09-01T00:00:00Z"]
)  # fmt: skip
LEAVES = st.one_of(
    WORDS, st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text()
)
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5), max_leaves=12
)
ROUTES = [
    ("POST", "/2.11/audiences/create"), ("POST", "/2.11/audiences/update"), ("POST", "/2.11/audiences/replace"),
    ("POST", "/2.11/audiences/remove"), ("POST", "/2.11/profiles/update"), ("POST", "/2.11/profiles/mass-update"),
    ("POST", "/2.11/profiles/export"), ("POST", "/1.0/DEV1/custom-audience/a"),
    ("PATCH", "/1.0/DEV1/custom-audience/a"),
    ("PATCH", "/1.1/DEV1/custom-audience/b"), ("PUT", "/1.1/DEV1/custom-audience/b"),
    ("POST", "/1.0/DEV1/data/users/x"),
    ("POST", "/1.0/DEV1/data/users"), ("DELETE", "/1.0/DEV1/data/users"),
]  # fmt: skip
STATUSES = {200, 202, 400, 404, 409}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(["likely", "harsh"]), st.lists(st.tuples(st.sampled_from(ROUTES), JSON), min_size=1, max_size=8))
def test_any_json_is_answered(preset: str, requests: list[tuple[tuple[str, str], Any]]) -> None:
    b = Batch(**resolve(preset, {})).made()
    for (method, path), body in requests:
        assert b.send(method, path, body).status in STATUSES


ITEM = st.builds(
    lambda action, one: {"action": action, "id": f"u{one}"}, st.sampled_from(["add", "remove"]), st.integers(0, 6)
)
WRITE = st.tuples(st.sampled_from(["update", "replace"]), st.lists(ITEM, min_size=1, max_size=5), st.integers(0, 15))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["in_order", "any_order"]),
    st.sampled_from(["each_wipes", "append_while_indexing"]),
    st.lists(WRITE),
)
def test_counts_are_the_truth(
    ordering: str, sequence: str, writes: list[tuple[str, list[dict[str, str]], int]]
) -> None:
    b = Batch(write_ordering=ordering, replace_sequence=sequence).made()
    for kind, items, pause in writes:
        ids = items if kind == "update" else [{"id": item["id"]} for item in items]
        assert b.cep(f"audiences/{kind}", {"name": "a", "ids": ids}).status == 202
        b.later(pause)
    b.later(100)
    view = b.view()
    assert view["nb_ids"] == len(b.members())
    assert view["indexing_state"] == "APPLIED"
