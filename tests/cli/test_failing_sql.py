"""SQL of one segment that compiles, and that a value of the data makes fail: that segment is named, at its SQL."""

from __future__ import annotations

import pytest

from tests.cli.kit import Command

SEGMENT = "\n---\napiVersion: batchctl/v1\nkind: Segment\nname: odd\ncatalogue: people\n{sql}\n"
LINK = "---\napiVersion: batchctl/v1\nkind: SegmentLink\nname: odd-ios\nsegment: odd\naction: ios-ids\n"


def _with(batchctl: Command, sql: str) -> None:
    (batchctl.root / "odd.yaml").write_text(SEGMENT.format(sql=sql) + LINK)


@pytest.mark.parametrize(
    ("sql", "column", "why", "fix"),
    [
        ("where: cast(email as integer) > 3", 13, "a value of email cannot be converted to INTEGER", "TRY_CAST(email AS INTEGER)"),
        ("where: email::date > date '2024-01-01'", 8, "a value of email cannot be converted to DATE", "TRY_CAST(email AS DATE)"),
        ("where: timestamp '2024-01-01' < '01/12/2024' and orders > 0", 24, "a text in the SQL", "'YYYY-MM-DD'"),
        ("where: strptime(email, '%d') > timestamp '2024-01-01'", 8, "Invalid Input Error", "TRY(…)"),
        ("where: orders * 2000000000 * 2000000000 * 2000000000 > 1", 8, "Overflow", "TRY(…)"),
        ("query: SELECT pid FROM people WHERE cast(email as bigint) > 3", 42, "a value of email cannot", "TRY_CAST(email AS BIGINT)"),
    ],
)  # fmt: skip
def test_the_segment_is_named_with_the_place_of_its_sql(
    sql: str, column: int, why: str, fix: str, batchctl: Command
) -> None:
    _with(batchctl, sql)
    batchctl.ok("validate")
    for command in (("plan",), ("apply", "--auto-approve"), ("preview", "odd-ios")):
        done = batchctl(*command)
        assert done.returncode == 3, done.stderr
        assert f"odd.yaml:7:{column}" in done.stderr, done.stderr
        assert "SQL that fails on the data" in done.stderr
        assert why in done.stderr
        assert fix in done.stderr
        assert "example.com" not in done.stderr
        assert "loyal" not in done.stderr
    assert not batchctl.audiences()


def test_what_is_advised_runs(batchctl: Command) -> None:
    for sql in ("where: TRY_CAST(email AS INTEGER) > 3", "where: TRY(strptime(email, '%d')) > now()"):
        _with(batchctl, sql)
        assert "odd_custom_ids" in batchctl.ok("plan")


def test_every_segment_that_fails_is_named_also_where_others_share_its_people(batchctl: Command) -> None:
    _with(batchctl, "where: cast(email as integer) > 3")
    second = (SEGMENT + LINK).replace("odd", "even").format(sql="where: email::date > date '2024-01-01'")
    (batchctl.root / "even.yaml").write_text(second)
    done = batchctl("plan")
    assert (done.returncode, done.stderr.count("SQL that fails on the data")) == (3, 2), done.stderr
    (batchctl.root / "odd.yaml").unlink()
    (batchctl.root / "even.yaml").unlink()
    batchctl.ok("apply", "--auto-approve")
    _with(batchctl, "where: cast(email as integer) > 3")
    done = batchctl("plan")
    assert (done.returncode, "odd.yaml:7" in done.stderr) == (3, True), done.stderr
