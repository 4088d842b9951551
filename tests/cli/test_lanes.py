"""Targets of one destination: begun in order, and none waits for another's indexing."""

from __future__ import annotations

import gc

from reconciler.emulator import Options, running
from tests.cli.kit import EVERYBODY, LOYAL, SPECS, Command, people
from tests.conftest import MakeProject

SECOND = "---" + LOYAL.replace("loyal-ios", "loyal-crm").replace("ios-ids", "crm-ids")


def test_a_target_that_is_being_indexed_does_not_hold_the_next_one_up(project: MakeProject) -> None:
    root = project({"specs.yaml": SPECS, "links.yaml": EVERYBODY + SECOND}, {"data/people.parquet": people(40)})
    with running(Options(rate_scale=0, indexing_delay=1.0)) as url:
        batchctl = Command(root, url)
        batchctl.ok("apply", "--auto-approve")
        routes = [line["route"] for line in batchctl.ask("log?limit=1000")["requests"] if line["method"] == "POST"]
    creates = [n for n, path in enumerate(routes) if path.endswith("/audiences/create")]
    uploads = [n for n, path in enumerate(routes) if path.endswith("/audiences/update")]
    assert (len(creates), len(uploads)) == (2, 2)
    assert max(creates) < min(uploads), "the second audience is created while Batch indexes the first"


def test_what_requests_leave_is_collected_while_an_apply_sends(batchctl: Command) -> None:
    """A plan is made with a collector that seldom runs; a body kept for each request would fill the memory."""
    before = gc.get_threshold()
    gc.set_threshold(10**9, 10**3, 10**3)
    try:
        batchctl.ok("apply", "--auto-approve")
        assert gc.get_threshold()[0] <= 1000
    finally:
        gc.set_threshold(*before)
