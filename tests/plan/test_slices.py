"""Laws of requests: every row once, as few as the limit allows, order where order matters."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.plan.slices import Rows, batches, consent_batches, minimum

COUNT = st.integers(0, 60)
LIMIT = st.integers(1, 25)


@st.composite
def rows_of(draw: st.DrawFn) -> Rows:
    dropped = draw(COUNT)
    return Rows(consent=draw(COUNT), remove=draw(COUNT), reset=dropped, add=draw(COUNT), put=dropped)


@given(rows_of(), LIMIT, st.booleans(), st.booleans(), st.booleans())
def test_every_row_is_in_exactly_one_batch(rows: Rows, limit: int, replace: bool, late: bool, consent: bool) -> None:
    sent = batches(rows, limit=limit, replace=replace, leftovers_last=late, consent=consent)
    covered = sorted(row for batch in sent for row in range(batch.start, batch.stop))
    assert covered == list(range(0 if consent else rows.consent, rows.total))
    assert all(0 < batch.stop - batch.start <= limit for batch in sent)


@given(rows_of(), LIMIT, st.booleans())
def test_requests_are_the_minimum_but_for_one_cut(rows: Rows, limit: int, late: bool) -> None:
    least = minimum(rows.total, limit)
    sent = batches(rows, limit=limit, leftovers_last=late)
    assert len(sent) in ((least,) if not rows.reset else (least, least + 1))
    cuts = [minimum(at, limit) + minimum(rows.total - at, limit) for at in range(rows.first_add, rows.first_put + 1)]
    assert len(sent) == (min(cuts) if rows.reset else least)


@given(rows_of(), LIMIT, st.booleans())
def test_resets_are_applied_before_their_puts(rows: Rows, limit: int, late: bool) -> None:
    sent = batches(rows, limit=limit, leftovers_last=late)
    resets = [n for n, b in enumerate(sent) if b.start < rows.first_add and b.stop > rows.first_reset]
    puts = [n for n, b in enumerate(sent) if b.stop > rows.first_put]
    if rows.reset:
        barriers = [n for n, b in enumerate(sent) if b.barrier]
        assert max(resets) < min(puts)
        assert any(max(resets) < n <= min(puts) for n in barriers)


@given(rows_of(), LIMIT, st.booleans())
def test_consent_goes_first(rows: Rows, limit: int, late: bool) -> None:
    sent = batches(rows, limit=limit, leftovers_last=late)
    holding = [n for n, batch in enumerate(sent) if batch.start < rows.consent]
    assert holding == list(range(len(holding)))
    assert [batch.stop for batch in consent_batches(rows, limit)][-1:] == ([rows.consent] if rows.consent else [])


@given(rows_of(), LIMIT)
def test_a_replace_holds_members_only_between_barriers(rows: Rows, limit: int) -> None:
    sent = batches(rows, limit=limit, replace=True)
    replacing = [n for n, batch in enumerate(sent) if batch.replace]
    assert len(replacing) == (1 if rows.add else 0)
    for n in replacing:
        assert sent[n].start == rows.first_add
        assert sent[n].barrier
        assert all(batch.barrier for batch in sent[n + 1 : n + 2])


@given(st.integers(1, 60), st.integers(1, 60), LIMIT)
def test_leftovers_leave_after_everybody_was_added_again(remove: int, add: int, limit: int) -> None:
    rows = Rows(remove=remove, add=add)
    sent = batches(rows, limit=limit, leftovers_last=True)
    pure_removals = [n for n, batch in enumerate(sent) if batch.stop <= remove]
    additions = [n for n, batch in enumerate(sent) if batch.stop > remove]
    assert max(additions) < min(pure_removals, default=len(sent))
