"""``batchctl preview``: one link counted stage by stage on its data; neither Batch nor the state is asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import common, common_of
from reconciler.errors import SpecInvalid, Usage

if TYPE_CHECKING:
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import Session
    from reconciler.data.engine import Engine
    from reconciler.data.membership import Members
    from reconciler.data.preview import Preview
    from reconciler.link import Link


@click.command("preview")
@click.argument("link")
@common
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the counts.",
)
def command(link: str, form: str, **shared: Any) -> int:
    """Count how many people the segment link LINK selects, stage by stage, with a masked sample.

    Batch is not asked, no key needs to be set, and nothing is written.
    """
    options = common_of(**shared)
    from reconciler.cli.progress import Reporter
    from reconciler.cli.session import open_session
    from reconciler.data.engine import Engine
    from reconciler.data.preview import preview
    from reconciler.data.segments import named

    session = open_session(options)
    chosen = _link(session, link)
    with Reporter(json_lines=options.log_json) as reporter, Engine(now=session.now) as engine:
        members = _members(session, engine, chosen, reporter)
        reporter.stage(f"counting {chosen.address}")
        with named([members], session.where, session.loaded.excerpt):
            counted = preview(engine, members)
    click.echo(_json(chosen, counted) if form == "json" else _text(chosen, counted), nl=False)
    return 0


def _link(session: Session, name: str) -> Link:
    address = name if "/" in name else f"segment-link/{name}"
    for link in session.resolution.links:
        if link.address == address:
            return link
    known = ", ".join(link.address for link in session.resolution.links) or "none"
    raise Usage(f"{address}: no such segment link", why=f"there are: {known}")


def _members(session: Session, engine: Engine, link: Link, reporter: Reporter) -> Members:
    """The link on its opened catalogue; SpecInvalid, at its line, for a source that is missing or SQL that is wrong."""
    from reconciler.data import catalogue
    from reconciler.data.membership import members_of
    from reconciler.data.segments import check_segment
    from reconciler.data.source import SourceMissing
    from reconciler.data.told import source_problem, sql_problem

    where, excerpt = session.where, session.loaded.excerpt
    reporter.stage(f"reading catalogue/{link.catalogue.name}")
    try:
        found = catalogue.find(engine, link.catalogue, root=session.root, roots=session.data_roots)
        engine.lock([path for relation in found.relations for path in relation.files])
        opened = catalogue.open_catalogue(engine, found)
    except SourceMissing as error:
        raise SpecInvalid((source_problem(link.catalogue.name, error, where, excerpt),)) from None
    wrong = check_segment(engine, link.segment, link.catalogue)
    if wrong is not None:
        raise SpecInvalid((sql_problem(link.segment, wrong, where, excerpt),))
    return members_of([link], {link.catalogue.name: opened})[link.address]


def _json(link: Link, counted: Preview) -> str:
    fields = asdict(counted)
    fields["coverage"] = dict(counted.coverage)
    fields["rejects"] = {one.reason: one.count for one in counted.rejects}
    fields["sample"] = [{"id": one, "attributes": dict(values)} for one, values in counted.sample]
    target = None if link.target.is_profiles else link.target.audience
    return json.dumps({"format": 1, "link": link.address, "audience": target, **fields}, indent=2) + "\n"


def _text(link: Link, counted: Preview) -> str:
    from reconciler.render.words import plain

    where = "profiles" if link.target.is_profiles else f"audience {link.target.audience}"
    lines = [f"{link.address} → {plain(link.destination.name)}", f"{where} ({link.id_type})", ""]
    stages = [("read", counted.read), ("with consent", counted.with_consent)]
    stages += [("not suppressed", counted.not_suppressed), ("in the segment", counted.in_segment)]
    lines += [_stage(f"people {name}" if name == "read" else f"  {name}", n, stages[0][1]) for name, n in stages]
    lines += [_stage(f"    with {plain(name)}", n, counted.in_segment) for name, n in counted.coverage]
    lines += ["", _stage("identifiers found", counted.identifiers)]
    lines += [_stage("  rejected", one.count) + f"   {plain(one.reason)}" for one in counted.rejects]
    if counted.withheld:
        lines.append(
            _stage("  withheld", counted.withheld) + "   somebody without consent, or suppressed, has them too"
        )
    if counted.shared:
        lines.append(_stage("  shared", counted.shared) + "   by several people; sent once")
    lines.append(_stage("sendable", counted.sendable))
    return "\n".join([*lines, *_sample(counted)]) + "\n"


def _stage(name: str, number: int, whole: int = 0) -> str:
    from reconciler.render.words import percent

    share = f"  {percent(number / whole):>8}" if whole else ""
    return f"{name:24}{number:>12,}{share}"


def _sample(counted: Preview) -> list[str]:
    from reconciler.render.words import plain

    if not counted.sample:
        return ["", "nobody to show"]
    lines = ["", "for example (masked)"]
    for identifier, values in counted.sample:
        shown = ", ".join(f"{plain(name)}: {plain(value)}" for name, value in values.items())
        lines.append(f"  {plain(identifier):6}  {shown}".rstrip())
    return lines
