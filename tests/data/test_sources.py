"""What can be read, and that nothing is lost silently on the way in: files, encodings, delimiters, tables, queries."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import duckdb
import pytest

from reconciler.data.matches import matches
from reconciler.data.source import SourceMissing, find
from reconciler.data.texts import csv_header
from reconciler.errors import SourceError, SpecInvalid
from tests.data.kit import PEOPLE, Shop, documents
from tests.kit import as_nobody

TIER = {"tier": "tier"}


def people(path: str, *, source: dict[str, object] | None = None, **fields: str) -> dict[str, object]:
    """A catalogue over one source."""
    return {"source": source or {"path": path}, "key": "pid", "fields": {"pid": "string", **fields}}


@pytest.mark.parametrize(
    ("content", "source"),
    [
        ("pid,tier\n1,é\n2,b\n", {}),
        ("\ufeffpid,tier\n1,é\n2,b\n", {}),
        ("pid;tier\n1;é\n2;b\n", {}),
        ("pid\ttier\n1\té\n2\tb\n", {}),
        ("pid|tier\n1|é\n2|b\n", {}),
        ("pid~tier\n1~é\n2~b\n", {"delimiter": "~"}),
        ("pid,tier\r\n1,é\r\n2,b\r\n", {}),
        ('"pid","tier"\n"1","é"\n"2","b"', {}),
        ("pid,tier\n\n1,é\n\n2,b\n\n", {}),
        ("tier,pid,more\né,1,x\nb,2,\n", {}),
        ("pid,tier\n1,é\n2,b\n".encode("latin-1"), {}),
        ("pid,tier\n1,é\n2,b\n".encode("latin-1"), {"encoding": "latin-1"}),
    ],
)
def test_csv_of_every_shape_reads_the_same(shop: Shop, content: str | bytes, source: dict[str, str]) -> None:
    shop.write("people.csv", content)
    catalogue = people("", source={"path": "people.csv", **source}, tier="string")
    turn = shop.look(documents(catalogue=catalogue, attributes=TIER))
    assert turn.of("add") == {"1": {"tier": "é"}, "2": {"tier": "b"}}
    assert turn.reasons == {}


def test_quotes_hold_newlines_delimiters_and_quotes(shop: Shop) -> None:
    shop.write("people.csv", 'pid,tier\n1,"a\nb"\n2,"a,b"\n3,"a ""b"""\n4,5" screen\n')
    turn = shop.look(documents(catalogue=people("people.csv", tier="string"), attributes=TIER))
    tiers = {"1": "a\nb", "2": "a,b", "3": 'a "b"', "4": '5" screen'}
    assert turn.of("add") == {pid: {"tier": tier} for pid, tier in tiers.items()}
    assert turn.reasons == {}


def test_rows_that_are_no_rows_are_rejects_with_their_number(shop: Shop) -> None:
    shop.write("people.csv", 'pid,tier,n\n1,a,1\n2,b,x,x\n3\n4,c,oops\n5,"d"d,2\n6,e,3\n')
    turn = shop.look(documents(catalogue=people("people.csv", tier="string", n="integer"), where="n > 0"))
    assert turn.added == {"1", "6"}
    assert {(one.row, one.reason, one.key) for one in turn.rejected} == {
        (2, "malformed CSV row: too many columns", None),
        (3, "malformed CSV row: missing columns", None),
        (4, "n: not a value of type integer", "4"),
        (5, "malformed CSV row: unquoted value", None),
    }
    counts = turn.staged.counts
    assert (counts.source_rows, counts.rows_read) == (6, 3)
    assert (counts.broken, counts.broken_most, counts.broken_of) == (3, 3, 6), "they belong to no segment"


MIXED = ("\r\n", "\n", "\r")


@pytest.mark.parametrize("first", MIXED)
@pytest.mark.parametrize("second", MIXED)
def test_line_ends_may_be_mixed(shop: Shop, first: str, second: str) -> None:
    """A file that two programs have written to."""
    rows = ["pid,tier,n", "1,a,1", '2,"b\nc",x', "3", "4,d,4", "5,e,x"]
    shop.write("people.csv", "".join(row + (first if at % 2 else second) for at, row in enumerate(rows)).encode())
    specs = documents(catalogue=people("people.csv", tier="string", n="integer"), attributes=TIER)
    turn = shop.look(specs)
    assert turn.of("add") == {"1": {"tier": "a"}, "2": {"tier": "b\nc"}, "4": {"tier": "d"}, "5": {"tier": "e"}}
    assert turn.reasons == {"malformed CSV row: missing columns": 1}
    assert [one.row for one in turn.rejected] == [3]


def test_line_ends_that_change_far_inside(shop: Shop) -> None:
    lines = [f"{n},x" for n in range(1, 60_001)]
    shop.write("people.csv", ("\n".join(["pid,tier", *lines]) + "\r\n60001,x\r\n60002,x\n").encode())
    turn = shop.look(documents(catalogue=people("people.csv", tier="string")))
    assert (len(turn.added), turn.reasons) == (60_002, {})


def test_line_ends_of_json_lines_may_be_mixed(shop: Shop) -> None:
    shop.write("people.jsonl", b'{"pid":"1"}\r\n{"pid":"2"}\n{"pid":"3"}\r\n')
    assert shop.look(documents(catalogue=people("people.jsonl"))).added == {"1", "2", "3"}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blank_lines_count_as_rows(shop: Shop, end: str) -> None:
    lines = ["pid,n", "1,1", "", "2,x", "3", "", "", '"4\n\n",4', "5,x", "", "6,6,6", "7,x", "", ""]
    shop.write("people.csv", end.join(lines).encode())
    turn = shop.look(documents(catalogue=people("people.csv", n="integer"), where="n IS NOT NULL"))
    assert {(one.row, one.reason) for one in turn.rejected} == {
        (3, "n: not a value of type integer"),
        (4, "malformed CSV row: missing columns"),
        (7, "white space around it"),
        (8, "n: not a value of type integer"),
        (10, "malformed CSV row: too many columns"),
        (11, "n: not a value of type integer"),
    }


@pytest.mark.parametrize("tail", ['7,"open\n8,x\n', '7,"open', '"7\n8,x\n9,x\n'])
def test_a_quote_that_is_never_closed_swallows_nobody_silently(shop: Shop, tail: str) -> None:
    specs = documents(catalogue=people("people.csv", tier="string"))
    shop.write("people.csv", "pid,tier\n1,a\n7,b\n8,b\n9,b\n")
    shop.apply(specs)
    shop.write("people.csv", f"pid,tier\n1,a\n{tail}")
    turn = shop.look(specs)
    assert turn.reasons == {"malformed CSV row: a quote is never closed": 1}
    assert [one.row for one in turn.rejected] == [2]
    assert (turn.rows, turn.staged.counts.held) == ([], 3)


def test_rejected_rows_say_which_file_of_several(shop: Shop) -> None:
    shop.write("in/a.csv", "pid,n\n1,1\n2,2,2\n3,x\n")
    shop.write("in/b.csv", "pid,n\n4,x\n5,5,5\n")
    turn = shop.look(documents(catalogue=people("in/*.csv", n="integer"), where="n IS NOT NULL"))
    assert turn.added == {"1"}
    assert {(one.row, one.reason) for one in turn.rejected} == {
        (2, "malformed CSV row of a.csv: too many columns"),
        (2, "malformed CSV row of b.csv: too many columns"),
        (3, "n: not a value of type integer"),
        (1, "n: not a value of type integer"),
    }


def test_many_malformed_rows_are_numbered_exactly(shop: Shop) -> None:
    lines = [f"{n},x" if n % 3 else f"{n}" for n in range(1, 3001)]
    lines[2998] = "2999"
    shop.write("people.csv", "\n".join(["pid,n", *lines]))
    turn = shop.look(documents(catalogue=people("people.csv", n="integer"), where="n > 0"))
    numbers = {one.row: one.reason for one in turn.rejected}
    assert set(numbers) == set(range(1, 3001))
    assert {n for n, why in numbers.items() if why.startswith("malformed")} == {*range(3, 3001, 3), 2999}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "people.csv is empty: 0 bytes"),
        (b"\xef\xbb\xbf", "people.csv is empty"),
        (b"pid,pid\n1,1\n", "repeated column"),
        (b"pid,PID\n1,1\n", "repeated column"),
        (b"pid,,x\n1,1,1\n", "empty column name"),
        ("pid\n1\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_csv_that_cannot_be_read_is_one_clear_error(shop: Shop, content: bytes, what: str) -> None:
    shop.write("people.csv", content)
    with pytest.raises(SourceError, match=what) as raised:
        shop.look(documents())
    assert raised.value.fix


def test_a_header_without_rows_is_an_empty_source(shop: Shop) -> None:
    shop.write("people.csv", "pid\n")
    turn = shop.look(documents())
    assert (turn.rows, turn.staged.counts.source_rows) == ([], 0)


NO_TEXT = [
    ("pid\n1\n".encode("utf-16"), "people.csv is UTF-16"),
    (gzip.compress(b"pid\n1\n"), "people.csv is compressed"),
    (b"PK\x03\x04\x14\x00", "people.csv is a ZIP file"),
    (b"\x7fELF\x02\x01\x01\x00\n1\n", "the header line of people.csv cannot be read"),
    ("p\u00efd\n".encode("latin-1") + "\u00ef\n".encode(), "the header line of people.csv cannot be read"),
]


@pytest.mark.parametrize(("content", "what"), NO_TEXT, ids=range(len(NO_TEXT)))
def test_what_is_no_text_is_said_at_once(shop: Shop, content: bytes, what: str) -> None:
    path = shop.write("people.csv", content)
    with pytest.raises(SourceError, match=what):
        shop.look(documents(catalogue=people("people.csv")))
    if "header" not in what:
        with pytest.raises(SourceError, match=what):
            csv_header(path, delimiter=None, encoding=None)


def test_json_lines_that_are_no_text_are_said_at_once(shop: Shop) -> None:
    shop.write("people.jsonl", gzip.compress(b'{"pid": "1"}\n'))
    with pytest.raises(SourceError, match=r"people.jsonl is compressed"):
        shop.look(documents(catalogue=people("people.jsonl")))


def test_bytes_that_are_not_the_declared_encoding_are_rejects(shop: Shop) -> None:
    shop.write("people.csv", "pid,tier\n1,a\n2,é\n3,c\n".encode("latin-1"))
    catalogue = people("", source={"path": "people.csv", "encoding": "utf-8"}, tier="string")
    turn = shop.look(documents(catalogue=catalogue))
    assert (turn.added, turn.reasons) == ({"1", "3"}, {"malformed CSV row: invalid encoding": 1})


@pytest.mark.parametrize("damage", [b"p9,caf\xe9\n", b"p9,x\xc3"])
def test_a_damaged_byte_does_not_change_how_all_other_rows_are_read(shop: Shop, damage: bytes) -> None:
    rows = "pid,tier\n" + "".join(f"jos\u00e9{n},gold\n" for n in range(9))
    made = documents(catalogue=people("people.csv", tier="string"))
    shop.write("people.csv", rows)
    shop.apply(made)
    shop.write("people.csv", rows.replace("jos\u00e91,", "new,").encode() + damage)
    turn = shop.look(made)
    assert (turn.added, turn.removed) == ({"new"}, set()), "the row that cannot be read may be of whoever is missing"
    assert turn.reasons == {"malformed CSV row: invalid encoding": 1}


def test_json_lines_keep_numbers_as_written_and_say_what_is_no_object(shop: Shop) -> None:
    lines = ['{"pid":"007","n":1}', '{"pid":7,"n":"2","x":[]}', "", '{"pid":123456789012345678901234567890}', "[1]",
             '{"pid":', "  ", '{"pid":{"a":1},"n":3}', '{"pid":"b","n":1.5}', '{"n":4}', '{"pid":null}']  # fmt: skip
    shop.write("people.jsonl", "\n".join(lines) + "\n")
    turn = shop.look(documents(catalogue=people("people.jsonl", n="integer"), attributes={"n": "n"}))
    assert turn.of("add") == {"007": {"n": 1}, "7": {"n": 2}, "123456789012345678901234567890": {}, "b": {}}
    assert {(one.row, one.reason) for one in turn.rejected} == {
        (5, "malformed JSON line"),
        (6, "malformed JSON line"),
        (8, "pid: not a value of type string"),
        (9, "n: not a integer"),
        (10, "pid: no key"),
        (11, "pid: no key"),
    }


def test_a_json_line_that_is_not_utf_8_is_a_reject(shop: Shop) -> None:
    shop.write("people.jsonl", b'{"pid":"a"}\n{"pid":"\xe9"}\n\xef\xbb\xbf\n{"pid":"b"}\n')
    turn = shop.look(documents(catalogue=people("people.jsonl")))
    assert turn.added == {"a", "b"}
    assert turn.reasons["malformed JSON line: invalid encoding"] == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [("people.csv", b""), ("people.jsonl", b""), ("people.parquet", b""), ("in/*.csv", b"pid\n1\n")],
)
def test_a_file_of_0_bytes_is_a_write_that_failed(shop: Shop, name: str, content: bytes) -> None:
    """Never a source without rows: those have a header, or a footer."""
    shop.write(name.replace("*", "a"), b"")
    if "*" in name:
        shop.write(name.replace("*", "b"), content)
    with pytest.raises(SourceError, match="is empty: 0 bytes") as raised:
        shop.look(documents(catalogue=people(name)))
    assert "never taken for a source without rows" in raised.value.why


def test_a_part_of_json_lines_may_have_no_rows(shop: Shop) -> None:
    shop.write("in/a.jsonl", "")
    shop.write("in/b.jsonl", '{"pid":1}\n')
    assert shop.look(documents(catalogue=people("in/*.jsonl"))).added == {"1"}


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip", "uncompressed"])
def test_the_damaged_file_of_several_is_named(shop: Shop, compression: str) -> None:
    for name in "abc":
        file = shop.root / "in" / f"{name}.parquet"
        file.parent.mkdir(exist_ok=True)
        rows = f"SELECT '{name}' || i AS pid, 'tier' || i AS tier FROM range(3000) AS t(i)"
        with duckdb.connect() as engine:
            engine.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet, COMPRESSION {compression})")
    whole = (shop.root / "in" / "b.parquet").read_bytes()
    (shop.root / "in" / "b.parquet").write_bytes(whole[:4] + bytes(byte ^ 0x5A for byte in whole[4:60]) + whole[60:])
    with pytest.raises(SourceError) as raised:
        shop.look(documents(catalogue=people("in/*.parquet", tier="string")))
    assert "b.parquet is damaged" in raised.value.what


@pytest.mark.parametrize("content", ["\n\n", '{"pid":1,"PID":2}\n'])
def test_json_lines_that_cannot_be_read_are_one_clear_error(shop: Shop, content: str) -> None:
    shop.write("people.jsonl", content)
    with pytest.raises(SourceError, match="people.jsonl"):
        shop.look(documents(catalogue=people("people.jsonl")))


def test_files_with_different_columns_are_one_table(shop: Shop) -> None:
    shop.parquet("in/a.parquet", "SELECT '1' AS pid, 'x' AS tier")
    shop.parquet("in/b.parquet", "SELECT 7 AS pid, 3 AS n")
    catalogue = people("in/*.parquet", tier="string", n="integer")
    turn = shop.look(documents(catalogue=catalogue, attributes={"tier": "tier", "n": "n"}))
    assert turn.of("add") == {"1": {"tier": "x"}, "7": {"n": 3}}
    shop.write("csv/a.csv", "pid,tier\n1,x\n")
    shop.write("csv/sub/b.csv", "n;pid\n3;7\n")
    catalogue = people("csv/**/*.csv", tier="string", n="integer")
    turn = shop.look(documents(catalogue=catalogue, attributes={"tier": "tier", "n": "n"}))
    assert turn.of("add") == {"1": {"tier": "x"}, "7": {"n": 3}}


def test_a_pattern_matches_files_of_one_kind_in_a_stable_order(shop: Shop) -> None:
    shop.write("in/b.csv", "pid\n1\n")
    shop.write("in/a.csv", "pid\n2\n")
    shop.write("in/a.jsonl", '{"pid":3}\n')
    assert shop.look(documents(catalogue=people("in/[ab].csv"))).added == {"1", "2"}


PARTS = ("in/*/people.csv", "in/**/*.csv", "in/*/*.csv", "in/fr/people.csv", "in/f[r]/people.csv")


@pytest.mark.parametrize("pattern", PARTS)
def test_a_part_that_cannot_be_reached_is_an_error_not_a_part_without_rows(shop: Shop, pattern: str) -> None:
    shop.write("in/fr/people.csv", "pid\n1\n")
    shop.write("in/de/people.csv", "pid\n2\n")
    shop.look(documents(catalogue=people(pattern)))
    for folder in (shop.root, *shop.root.parents[:-2]):
        folder.chmod(0o755)
    (shop.root / "in" / "fr").chmod(0)
    with as_nobody(), pytest.raises(SourceError, match="cannot be read") as refused:
        find(pattern, root=shop.root, roots=())
    assert refused.value.why == os.strerror(errno.EACCES)
    assert str(shop.root / "in" / "fr") in refused.value.what


@pytest.mark.parametrize("pattern", ["in/*/people.csv", "in/*/*.csv"])
def test_a_folder_that_leads_round_in_a_circle_is_an_error(shop: Shop, pattern: str) -> None:
    shop.write("in/de/people.csv", "pid\n2\n")
    (shop.root / "in" / "fr").symlink_to("fr")
    with pytest.raises(SourceError, match=r"in/fr cannot be read") as refused:
        find(pattern, root=shop.root, roots=())
    assert refused.value.why == os.strerror(errno.ELOOP)


@pytest.mark.parametrize(
    ("link", "pattern"),
    [
        ("in/fr", "in/*/people.csv"),
        ("in/fr/people.csv", "in/*/people.csv"),
        ("in/fr/people.csv", "in/**/*.csv"),
        ("in/fr/people.csv", "in/*/*.csv"),
    ],
)
def test_a_part_that_is_a_link_to_nothing_is_an_error_that_names_it(shop: Shop, link: str, pattern: str) -> None:
    shop.write("in/de/people.csv", "pid\n2\n")
    (shop.root / link).parent.mkdir(exist_ok=True)
    (shop.root / link).symlink_to("gone")
    with pytest.raises(SourceMissing, match=f"^{link} leads to a file that is not there") as refused:
        find(pattern, root=shop.root, roots=())
    assert refused.value.fix == "correct the link"


def test_a_part_that_is_a_pipe_is_an_error(shop: Shop) -> None:
    shop.write("in/a.csv", "pid\n1\n")
    os.mkfifo(shop.root / "in" / "b.csv")
    with pytest.raises(SourceMissing, match="in/b.csv is not a regular file"):
        find("in/*.csv", root=shop.root, roots=())


def test_what_a_pattern_names(tmp_path: Path) -> None:
    root = tmp_path / "a[1]"
    for name in ("x/a.csv", "x-y/a.csv", ".h/a.csv", "x/y/z/a.csv", "x/y/B.CSV", "a.csv", "x/b.csv/c.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "link").symlink_to("x")
    expected = {
        "*/a.csv": [".h/a.csv", "link/a.csv", "x/a.csv", "x-y/a.csv"],
        "**/*.csv": [".h/a.csv", "a.csv", "x/a.csv", "x/y/z/a.csv", "x-y/a.csv"],
        "**/**/z/**/?.csv": ["x/y/z/a.csv"],
        "x/../*.csv": ["x/../a.csv"],
        "x/[!b].csv": ["x/a.csv"],
        "x/none/*.csv": [],
        "a.csv/*.csv": [],
        "**": [],
    }
    for pattern, names in expected.items():
        assert [str(path) for path in matches(root, pattern)] == [str(root / name) for name in names]


def test_a_path_outside_the_project_is_refused(shop: Shop) -> None:
    inner = Shop(shop.root / "project")
    shop.write("secret.csv", "pid\n1\n")
    inner.write("x.csv", "pid\n1\n")
    (inner.root / "link.csv").symlink_to(shop.root / "secret.csv")
    for path in ("../secret.csv", "link.csv", "*.csv", str(shop.root / "secret.csv")):
        with pytest.raises(SpecInvalid) as refused:
            inner.look(documents(catalogue=people(path)))
        assert "outside the project" in refused.value.problems[0].what


def database(shop: Shop, *statements: str) -> None:
    """A DuckDB database ``shop.duckdb``."""
    with duckdb.connect(str(shop.root / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def test_tables_and_queries_of_a_database(shop: Shop) -> None:
    database(shop, "CREATE SCHEMA crm", "CREATE TABLE crm.people AS SELECT * FROM (VALUES (1, 'x'), (2, 'y')) t(pid, tier)",
             "CREATE TABLE flat AS SELECT '3' AS pid, NOW() AS at")  # fmt: skip
    for source, expected in [
        ({"table": "crm.people"}, {"1", "2"}),
        ({"table": "flat"}, {"3"}),
        ({"query": "SELECT pid FROM crm.people WHERE tier = 'y' -- only these"}, {"2"}),
        ({"query": "WITH t AS (SELECT * FROM crm.people) SELECT pid FROM t UNION SELECT pid FROM main.flat"}, {"1", "2", "3"}),
        ({"query": "SELECT year(now()) || '-' || year(current_date) || '-' || year(today()) AS pid"}, {"2026-2026-2026"}),
    ]:  # fmt: skip
        catalogue = people("", source={"database": "shop.duckdb", **source})
        assert shop.look(documents(catalogue=catalogue)).added == expected


@pytest.mark.parametrize(
    "source",
    [
        {"table": "missing"},
        {"query": "SELECT nothing FROM people"},
        {"query": "SELECT 1 AS other"},
        {"query": "SELECT pid FROM people; DROP TABLE people"},
        {"query": "SELECT * FROM read_csv('/etc/passwd')"},
        {"query": "SELECT * FROM '/etc/passwd'"},
        {"query": "COPY people TO 'x.csv'"},
        {"query": "SELECT pid FROM people WHERE getenv('HOME') <> ''"},
    ],
)
def test_a_database_source_that_is_wrong_is_an_invalid_spec(shop: Shop, source: dict[str, str]) -> None:
    database(shop, "CREATE TABLE people AS SELECT '1' AS pid")
    with pytest.raises(SpecInvalid):
        shop.look(documents(catalogue=people("", source={"database": "shop.duckdb", **source})))


@pytest.mark.parametrize(
    ("name", "content"),
    [("people.parquet", b"PAR1 nothing"), ("crm.duckdb", b"nothing at all"), ("people.parquet", b"")],
)
def test_a_broken_file_is_one_clear_error(shop: Shop, name: str, content: bytes) -> None:
    shop.write(name, content)
    source = {"path": name} if name.endswith("parquet") else {"database": name, "table": "people"}
    with pytest.raises(SourceError) as raised:
        shop.look(documents(catalogue=people("", source=source)))
    assert raised.value.fix
    assert "Traceback" not in str(raised.value)


def test_a_missing_file_or_column_is_an_invalid_spec(shop: Shop) -> None:
    for content, what in [
        (None, "no file matches people.csv"),
        ("id\n1\n", "catalogue people: the source has no column pid"),
    ]:
        if content:
            shop.write("people.csv", content)
        with pytest.raises(SpecInvalid) as raised:
            shop.look(documents(catalogue=PEOPLE))
        assert [problem.what for problem in raised.value.problems] == [what]
