"""Declared types are enforced: every value that is not of its type is a reject with a reason, never a wrong value."""

from __future__ import annotations

from datetime import date, datetime
from functools import partial

import pytest

from reconciler.spec import Spec
from tests.data.kit import Shop, Turn, documents

at = partial(datetime, tzinfo=None)
WRONG = object()
"""Not a value of the type."""


def values(kind: str, source: str = "people.parquet") -> list[Spec]:
    """One attribute ``x`` of a field of that type, sent to CEP profiles."""
    catalogue = {"source": {"path": source}, "key": "pid", "fields": {"pid": "string", "x": kind}}
    return documents(catalogue=catalogue, action="send_attributes", attributes={"x": "x"}, declared={"x": kind})


def check(turn: Turn, expected: list[object], kind: str) -> None:
    """The n-th person's value, None for no value, WRONG for a reject with the row's number and a reason."""
    sent = turn.of("add")
    assert {pid: sent[pid]["x"] for pid in sent} == {
        str(n): value for n, value in enumerate(expected, 1) if value is not None and value is not WRONG
    }
    wrong = [n for n, value in enumerate(expected, 1) if value is WRONG]
    assert [(one.key, one.row) for one in turn.rejected] == [(str(n), n) for n in wrong]
    assert {one.reason for one in turn.rejected} <= {f"x: not a {kind}"}


TEXTS: dict[str, dict[str, object]] = {
    "integer": {
        "0": 0, "-1": -1, "+5": 5, " 12 ": 12, "007": 7, "9223372036854775807": 2**63 - 1, "-9223372036854775808": -(2**63),
        "9223372036854775808": WRONG, "99999999999999999999999": WRONG, "1.5": WRONG, "1.0": WRONG, "1e3": WRONG,
        "": None, "  ": None, "NaN": WRONG, "0x10": WRONG, "1_000": WRONG, "1,000": WRONG, "٣": WRONG, "true": WRONG,
    },
    "float": {
        "0.1": 0.1, "1": 1.0, "-1.5e3": -1500.0, ".5": 0.5, "5.": 5.0, "1e400": WRONG, "NaN": WRONG, "inf": WRONG,
        "-Infinity": WRONG, "1,5": WRONG, "": None, "0x1p3": WRONG, "1e": WRONG,
    },
    "boolean": {
        "true": True, "TRUE": True, "t": True, "yes": True, "1": True, " false ": False, "f": False, "No": False,
        "0": False, "2": WRONG, "": None, "oui": WRONG, "null": WRONG, "1.0": WRONG,
    },
    "date": {
        "2024-02-29": date(2024, 2, 29), " 2024-01-02 ": date(2024, 1, 2), "0001-01-01": date(1, 1, 1), "2023-02-29": WRONG,
        "2024-13-01": WRONG, "0000-01-01": WRONG, "01/02/2024": WRONG, "2024-1-2": WRONG, "20240102": WRONG,
        "2024-01-02T00:00:00": WRONG, "infinity": WRONG, "": None, "epoch": WRONG,
    },
    "timestamp": {
        "2024-01-02": at(2024, 1, 2), "2024-01-02 03:04": at(2024, 1, 2, 3, 4),
        "2024-01-02T03:04:05Z": at(2024, 1, 2, 3, 4, 5), "2024-01-02 03:04:05.999": at(2024, 1, 2, 3, 4, 5),
        "2024-01-02T03:04:05+02:00": at(2024, 1, 2, 1, 4, 5), "2024-01-02 03:04:05-0530": at(2024, 1, 2, 8, 34, 5),
        "2024-01-02 03:04:05 UTC": at(2024, 1, 2, 3, 4, 5), "1969-12-31 23:59:59.5": at(1969, 12, 31, 23, 59, 59),
        "2024-01-02 25:00:00": WRONG, "2024-01-02 03:04:05 Europe/Paris": WRONG, "1700000000": WRONG, "2024-01-02T": WRONG,
        "9999-12-31T23:59:59-05:00": WRONG, "now": WRONG, "": None,
    },
    "url": {
        "https://x.example/a?b=c#d": "https://x.example/a?b=c#d", "app+x://open": "app+x://open", "": None, " ": None,
    },
    "list<string>": {
        '["a","b","a",""," "]': ["a", "b"], "[]": None, "[null]": None, '[1,2.5,true]': ["1", "2.5", "true"], "": None,
        "a;b": WRONG, "a,b": WRONG, "a": WRONG, '"a"': WRONG, "{}": WRONG, '[["a"]]': WRONG, '[{"a":1}]': WRONG, '["a"': WRONG,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_of_a_file(shop: Shop, kind: str) -> None:
    quoted = [text.replace('"', '""') for text in TEXTS[kind]]
    shop.write("people.csv", "\n".join(["pid,x", *(f'{n},"{text}"' for n, text in enumerate(quoted, 1))]))
    check(shop.look(values(kind, "people.csv")), list(TEXTS[kind].values()), kind)


STORED: list[tuple[str, str, list[tuple[str, object]]]] = [
    ("integer", "HUGEINT", [("5", 5), ("9223372036854775808", WRONG), ("NULL", None)]),
    ("integer", "UBIGINT", [("18446744073709551615", WRONG), ("7", 7)]),
    (
        "integer",
        "DOUBLE",
        [("5.0", 5), ("5.5", WRONG), ("1e19", WRONG), ("'nan'", WRONG), ("'inf'", WRONG), ("NULL", None)],
    ),
    ("integer", "DECIMAL(20,2)", [("5.00", 5), ("5.01", WRONG), ("999999999999999999.00", 999999999999999999)]),
    ("integer", "BOOLEAN", [("true", WRONG), ("NULL", None)]),
    ("integer", "INTEGER[]", [("[1]", WRONG), ("NULL", None)]),
    ("integer", "DATE", [("'2024-01-02'", WRONG)]),
    ("float", "FLOAT", [("0.1", 0.1), ("'nan'", WRONG), ("'-inf'", WRONG)]),
    ("float", "DECIMAL(10,3)", [("1.250", 1.25)]),
    ("float", "DOUBLE[]", [("[0.5]", WRONG)]),
    ("float", "STRUCT(a DOUBLE)", [("{'a': 0.5}", WRONG)]),
    ("boolean", "TINYINT", [("1", True), ("0", False), ("2", WRONG)]),
    ("boolean", "DOUBLE", [("1.0", WRONG)]),
    ("date", "TIMESTAMP", [("'2024-01-02 23:00:00'", date(2024, 1, 2)), ("'infinity'", WRONG)]),
    ("date", "DATE", [("'2024-01-02'", date(2024, 1, 2)), ("'infinity'", WRONG), ("'0044-03-15 (BC)'", WRONG)]),
    ("date", "INTEGER", [("20240102", WRONG)]),
    ("timestamp", "TIMESTAMPTZ", [("'2024-01-02 03:04:05+02'", at(2024, 1, 2, 1, 4, 5))]),
    ("timestamp", "TIMESTAMP_NS", [("'2024-01-02 03:04:05.9'", at(2024, 1, 2, 3, 4, 5))]),
    ("timestamp", "DATE", [("'2024-01-02'", at(2024, 1, 2)), ("'12024-01-02'", WRONG)]),
    ("timestamp", "TIME", [("'03:04:05'", WRONG)]),
    ("string", "BIGINT", [("7", "7")]),
    ("string", "DECIMAL(38,0)", [("12345678901234567890123", "12345678901234567890123")]),
    ("string", "DECIMAL(10,2)", [("7.00", WRONG)]),
    ("string", "DOUBLE", [("7.0", WRONG), ("NULL", None)]),
    ("string", "UUID", [("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("string", "ENUM('a', 'b')", [("'b'", "b")]),
    ("string", "BOOLEAN", [("true", "true")]),
    ("string", "DATE", [("'2024-01-02'", "2024-01-02")]),
    ("string", "BLOB", [("'a'", WRONG)]),
    ("string", "VARCHAR[]", [("['a']", WRONG)]),
    ("string", "STRUCT(a INTEGER)", [("{'a': 1}", WRONG)]),
    ("string", "MAP(VARCHAR, INTEGER)", [("MAP {'a': 1}", WRONG)]),
    ("url", "UUID", [("NULL", None)]),
    ("list<string>", "VARCHAR[]", [("['a', NULL, 'b']", ["a", "b"]), ("[]", None)]),
    ("list<string>", "INTEGER[]", [("[1, 2]", ["1", "2"])]),
    ("list<string>", "VARCHAR[][]", [("[['a']]", WRONG)]),
    ("list<string>", "DOUBLE[]", [("[0.5]", WRONG)]),
    ("list<string>", "STRUCT(a INTEGER)[]", [("[{'a': 1}]", WRONG)]),
    ("list<string>", "INTEGER", [("1", WRONG)]),
    ("list<string>", "VARCHAR", [("'[\"a\"]'", ["a"])]),
]


def test_stored_values_of_a_parquet_file(shop: Shop) -> None:
    fields = {f"x{n}": kind for n, (kind, _, _) in enumerate(STORED)}
    rows = [
        ", ".join(
            f"CAST({pairs[row][0] if row < len(pairs) else 'NULL'} AS {stored}) AS x{n}"
            for n, (_, stored, pairs) in enumerate(STORED)
        )
        for row in range(max(len(pairs) for _, _, pairs in STORED))
    ]
    union = " UNION ALL ".join(f"SELECT '{row}' AS pid, {columns}" for row, columns in enumerate(rows))
    shop.parquet("people.parquet", f"SELECT * FROM ({union}) ORDER BY pid")
    catalogue = {"source": {"path": "people.parquet"}, "key": "pid", "fields": {"pid": "string", **fields}}
    attributes = {name: name for name in fields}
    turn = shop.look(documents(catalogue=catalogue, action="send_attributes", attributes=attributes, declared=fields))
    sent, wrong = turn.of("add"), {(one.key, one.reason.partition(":")[0]) for one in turn.rejected}
    for n, (kind, stored, pairs) in enumerate(STORED):
        found = [
            WRONG if (str(row), f"x{n}") in wrong else sent.get(str(row), {}).get(f"x{n}") for row in range(len(pairs))
        ]
        assert (kind, stored, found) == (kind, stored, [value for _, value in pairs])


def test_a_wrong_value_where_membership_is_decided_rejects_the_person(shop: Shop) -> None:
    shop.write("people.csv", "pid,orders\na,1\nb,many\nc,\nd,5\n")
    catalogue = {"source": {"path": "people.csv"}, "key": "pid", "fields": {"pid": "string", "orders": "integer"}}
    turn = shop.look(documents(catalogue=catalogue, where="orders > 3"))
    assert turn.added == {"d"}
    assert [(one.key, one.row, one.reason) for one in turn.rejected] == [
        ("b", 2, "orders: not a value of type integer")
    ]
    assert shop.look(documents(catalogue=catalogue)).reasons == {}  # nobody asks


def test_a_text_007_is_not_the_text_7_and_an_integer_is(shop: Shop) -> None:
    shop.write("people.csv", "pid,x\n007,a\n7,b\n 7,c\n")
    catalogue = {"source": {"path": "people.csv"}, "key": "pid", "fields": {"pid": "string", "x": "string"}}
    turn = shop.look(documents(catalogue=catalogue))
    assert (turn.added, turn.reasons) == ({"007", "7"}, {"white space around it": 1})
    numbers = {**catalogue, "fields": {"pid": "integer", "x": "string"}}
    turn = shop.look(documents(catalogue=numbers, identifier={"custom_id": "x"}))
    assert (turn.added, turn.reasons) == (set(), {"key on more than one row": 3})


def test_a_blank_key_is_no_key(shop: Shop) -> None:
    shop.parquet("people.parquet", "SELECT * FROM (VALUES ('', 'a'), ('  ', 'b'), (NULL, 'c'), ('k', 'd')) t(pid, x)")
    catalogue = {"source": {"path": "people.parquet"}, "key": "pid", "fields": {"pid": "string", "x": "string"}}
    turn = shop.look(documents(catalogue=catalogue, identifier={"custom_id": "x"}))
    assert (turn.added, turn.reasons) == ({"d"}, {"pid: no key": 3})
