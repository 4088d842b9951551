"""Values of two sides, sorted: which stand alone, whatever memory there is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.data import pairs
from reconciler.data.engine import Engine
from reconciler.data.pairs import Layout, Matcher, Side, Sorter, summed, unpaired
from reconciler.errors import SourceError
from tests.data.kit import NOW

if TYPE_CHECKING:
    from reconciler.data.pairs import Values

LAYOUTS = [Layout.of(attributes=False), Layout.of(attributes=True)]
TOP = (1 << 64) - 1


def paired(values: Sequence[int], layout: Layout) -> set[int]:
    """What `unpaired` is to say, prefix by prefix."""
    by_prefix = defaultdict(list)
    for value in values:
        by_prefix[value >> layout.shift].append(value)
    found = set()
    for prefix, those in by_prefix.items():
        sides = Counter(Side(one & 3) for one in those)
        same = len({one >> 2 for one in those}) == 1
        pair = sides == {Side.MEMBER: 1, Side.TOLD: 1} and same
        if not pair and set(sides) != {Side.OUTSIDE}:
            found.add(prefix)
    return found


def array(values: Sequence[int]) -> Values:
    return np.array(values, np.uint64)


def values_of(layout: Layout) -> st.SearchStrategy[list[int]]:
    """Few prefixes, at both ends of what there is, so that they meet."""
    prefix = st.sampled_from([0, 1, TOP >> layout.shift])
    middle = st.sampled_from([0, 1, (1 << (layout.shift - 2)) - 1])
    value = st.builds(lambda p, m, s: p << layout.shift | m << 2 | int(s), prefix, middle, st.sampled_from(list(Side)))
    return st.lists(value, max_size=8)


@settings(deadline=None, max_examples=400)
@given(
    data=st.data(),
    layout=st.sampled_from(LAYOUTS),
    window=st.sampled_from([1, 2, 3, 1 << 16]),
    together=st.integers(1, 3),
)
def test_only_a_member_beside_the_same_one_told_is_a_pair(
    data: st.DataObject, layout: Layout, window: int, together: int
) -> None:
    values = sorted(data.draw(values_of(layout)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pairs, "_WINDOW", window)
        patched.setattr(pairs, "_TOGETHER", together)
        patched.setattr(pairs, "_PIECE", 3)
        found = [prefix for piece in unpaired(array(values), layout) for prefix in piece.tolist()]
    assert len(found) == len(set(found))
    assert set(found) == paired(values, layout)
    few = Matcher(lambda: Path("never"))
    few.add(memoryview(array(values)))
    assert [prefix for piece in few.unpaired(layout) for prefix in piece] == found


@pytest.mark.parametrize(
    "other", [(0, Side.OUTSIDE), (0, Side.MEMBER), (2, Side.OUTSIDE), (1, Side.ODD), (2, Side.TOLD)]
)
def test_whoever_else_has_the_identifier_breaks_a_pair(other: tuple[int, Side]) -> None:
    layout = Layout.of(attributes=True)
    made = sorted(5 << layout.shift | m << 2 | int(side) for m, side in [(1, Side.MEMBER), (1, Side.TOLD), other])
    assert [piece.tolist() for piece in unpaired(array(made), layout)] == [[5]]


@settings(deadline=None)
@given(
    values=st.lists(st.integers(0, TOP) | st.sampled_from([0, 1, 1 << 58, (1 << 58) - 1, TOP]), max_size=40),
    most=st.integers(1, 50),
    cut=st.integers(1, 7),
)
def test_values_come_back_sorted_in_parts_that_divide_no_prefix(
    tmp_path_factory: pytest.TempPathFactory, values: list[int], most: int, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    names = iter(folder / str(n) for n in range(1000))
    sorter = Sorter(lambda: next(names), most=most)
    for at in range(0, len(values), cut):
        sorter.add(array(values[at : at + cut]))
    parts = [part.tolist() for part in sorter.parts()]
    assert [value for part in parts for value in part] == sorted(values)
    tops = [{value >> 58 for value in part} for part in parts]
    assert len(parts) == 1 or sum(map(len, tops)) == len(set().union(*tops))
    assert not any(folder.iterdir())


def test_many_values_are_sorted_by_two_threads() -> None:
    values = np.random.default_rng(7).integers(0, TOP, 1 << 18, np.uint64)
    sorter = Sorter(lambda: Path("never"))
    sorter.add(values)
    (found,) = sorter.parts()
    assert (found == np.sort(values)).all()


def test_a_full_disk_is_one_clear_error() -> None:
    sorter = Sorter(lambda: Path("/dev/full"), most=2)
    sorter.add(array([1, 2]))
    with pytest.raises(SourceError, match="no space left on the disk"):
        sorter.add(array([3]))


def test_a_temporary_folder_that_is_gone_is_not_called_a_full_disk(tmp_path: Path) -> None:
    sorter = Sorter(lambda: tmp_path / "gone" / "values", most=2)
    sorter.add(array([1, 2]))
    with pytest.raises(SourceError, match="cannot be kept") as error:
        sorter.add(array([3]))
    assert "TMPDIR" in str(error.value)


def test_only_we_can_read_what_does_not_fit_the_memory(tmp_path: Path) -> None:
    names = iter(tmp_path / str(n) for n in range(64))
    sorter = Sorter(lambda: next(names), most=2)
    sorter.add(array([1, 2, 3]))
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_value_is_made_of_prefix_attributes_and_side(layout: Layout) -> None:
    ones, mark = f"{TOP}::UBIGINT", int(Side.ODD)
    with Engine(now=NOW) as engine:
        ((value, prefix),) = engine.rows(f"SELECT {layout.value(ones, '0', str(mark))}, {layout.prefix(ones)}")
        assert value == TOP >> layout.shift << layout.shift | mark
        assert prefix == TOP >> layout.shift
        (value,) = engine.row(f"SELECT {layout.value('0::UBIGINT', ones, '0')}")
        assert value == (1 << layout.shift) - 4


def test_a_stream_of_numbers_is_what_rows_are() -> None:
    with Engine(now=NOW) as engine:
        query = "SELECT hash(range) AS a, range::UBIGINT AS b FROM range(300000)"
        streamed = [part for a, b in engine.arrays(query) for part in zip(a.tolist(), b.tolist(), strict=True)]
        assert sorted(streamed) == sorted(engine.rows(query))
        engine.run("CREATE TEMP TABLE found (h UBIGINT)")
        engine.insert("found", array([1, TOP]))
        engine.insert("found", [7, TOP - 1])
        engine.insert("found", [])
        assert engine.rows("SELECT h FROM found ORDER BY h") == [(1,), (7,), (TOP - 1,), (TOP,)]


@settings(deadline=None)
@given(values=st.lists(st.sampled_from([0, 1, 1 << 60, TOP - 1, TOP]), max_size=12), most=st.integers(1, 20))
def test_what_repeats_is_found_once(tmp_path_factory: pytest.TempPathFactory, values: list[int], most: int) -> None:
    folder = tmp_path_factory.mktemp("spool")
    expected = sorted(value for value, times in Counter(values).items() if times > 1)
    for few in (0, 100):
        names = iter(folder / f"{few}-{n}" for n in range(1000))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pairs, "FEW", few)
            patched.setattr(pairs, "IN_MEMORY", most)
            matcher = Matcher(lambda names=names: next(names))
            matcher.add(memoryview(array(values)))
            assert [value for piece in matcher.repeated() for value in piece] == expected


@pytest.mark.parametrize("uneven", [0, 3])
def test_few_and_many_are_matched_and_summed_alike(uneven: int) -> None:
    layout, values = Layout.of(attributes=False), [n << 2 | side for n in range(50_000) for side in (0, 1)]
    values += [n << 2 | int(Side.OUTSIDE) for n in range(uneven)]
    several = [array(values[at : at + 20_000]) for at in range(0, len(values), 20_000)]
    matcher, total = Matcher(lambda: Path("never")), [0, 0]
    for part in several:
        matcher.add(memoryview(part))
        found = summed(memoryview(part), memoryview(part))
        total = [total[0] + found[0], (total[1] + found[1]) & TOP]
    assert sorted(prefix for piece in matcher.unpaired(layout) for prefix in piece) == list(range(uneven))
    even = [value for value in values if not value & 2]
    assert total == [len(even), sum(even) & TOP]
    everything = memoryview(array(values))
    assert summed(everything, everything) == (len(even), sum(even) & TOP)


def test_what_fails_in_the_middle_of_a_stream_is_the_error_it_is_elsewhere(tmp_path: Path) -> None:
    with Engine(now=NOW) as engine:
        engine.copy("SELECT 7 AS n", tmp_path / "sound.parquet")
        engine.parquets.append(tmp_path / "sound.parquet")
        engine.run("CREATE TEMP TABLE texts AS SELECT range::VARCHAR AS v FROM range(500000) UNION ALL SELECT 'Ada'")
        query = "SELECT CAST(v AS UBIGINT) AS a FROM texts"
        with pytest.raises(SourceError) as elsewhere:
            engine.rows(query)
        with pytest.raises(SourceError) as streamed:
            list(engine.arrays(query))
        assert (streamed.value.what, streamed.value.why) == (elsewhere.value.what, elsewhere.value.why)
        assert "Ada" not in f"{streamed.value}"
        with pytest.raises(SourceError) as unknown:
            list(engine.arrays("SELECT nobody FROM texts"))
        assert "nobody" in str(unknown.value)
        assert engine.count("SELECT count(*) FROM texts") == 500_001


def test_a_footer_says_which_columns_have_one_value(tmp_path: Path) -> None:
    with Engine(now=NOW) as engine:
        file = tmp_path / "base.parquet"
        half = "CASE WHEN range < 70000 THEN 'add' END"
        engine.copy(
            f"SELECT 'add' AS kind, FALSE AS cased, NULL::UUID AS k, {half} AS half, range AS n, "
            "CASE WHEN range < 70000 THEN 'a' ELSE 'b' END AS two FROM range(140000)",
            file,
            ordered=True,
        )
        assert engine.constants(str(file)) == {"kind": "add", "cased": "false", "k": None}
