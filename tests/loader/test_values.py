"""What valid specs become: variables replaced, environments applied, short forms written out, one digest per meaning."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from reconciler.loader import load
from reconciler.spec import Catalogue, Mapping, Segment, SegmentLink
from tests.loader.kit import VALID, judged, write
from tests.loader.mistakes import catalogue, link, mapping, profile, segment

_TITLE = segment("title: 'In ${var:region} and ${var:region}'")


def _title(root: Path, **options: object) -> str:
    spec = load(root, **options).specs["segment/lapsed-buyers"]  # type: ignore[arg-type]  # options by name
    assert isinstance(spec, Segment)
    return spec.title


def test_variables_of_the_project_the_environment_and_the_command_line(tmp_path: Path) -> None:
    write(tmp_path, {"segment.yaml": _TITLE})
    assert _title(tmp_path) == "In fr and fr"
    assert _title(tmp_path, environment="prod") == "In eu and eu"
    assert _title(tmp_path, environment="prod", variables={"region": "us"}) == "In us and us"


def test_a_value_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, {"segment.yaml": _TITLE})
    assert _title(tmp_path, variables={"region": "${var:other} ${env:HOME}"}).startswith("In ${var:other} ${env:HOME}")


def test_a_variable_may_name_an_object(tmp_path: Path) -> None:
    text = segment("").replace("catalogue: customers", "catalogue: ${var:where}")
    loaded, problems = judged(write(tmp_path, {"segment.yaml": text}), variables={"where": "customers"})
    assert problems == ()
    spec = loaded.specs["segment/lapsed-buyers"]
    assert isinstance(spec, Segment)
    assert spec.catalogue == "customers"


def test_dollars_that_are_no_reference(tmp_path: Path) -> None:
    where = "where: \"tier = '${x}' OR tier = '$1' OR tier LIKE '{%'\"\n"
    _, problems = judged(write(tmp_path, {"segment.yaml": segment("title: cost $5 {net}", where)}))
    assert problems == ()


def test_short_forms(tmp_path: Path) -> None:
    files = {
        "catalogue.yaml": catalogue("freshness: 36h"),
        "profile.yaml": profile("{tier: tier}"),
        "mapping.yaml": mapping("identifier: {custom_id: [customer_id, pid]}"),
    }
    loaded, problems = judged(write(tmp_path, files))
    assert problems == ()
    people, ids, tiers = (
        loaded.specs[address] for address in ("catalogue/customers", "mapping/ids", "mapping/profile")
    )
    assert isinstance(people, Catalogue)
    assert isinstance(ids, Mapping)
    assert isinstance(tiers, Mapping)
    assert people.freshness is not None
    assert (people.freshness.max_age, people.freshness.field) == (timedelta(hours=36), None)
    assert ids.identifier.fields == ("customer_id", "pid")
    assert tiers.identifier.fields == ("customer_id",)
    assert tiers.attributes["tier"].field == "tier"


@pytest.mark.parametrize(
    ("written", "parsed"),
    [
        ("lower", (("lower", ()),)),
        ("[trim, lower]", (("trim", ()), ("lower", ()))),
        ("[trim, substring(1, 3)]", (("trim", ()), ("substring", (1, 3)))),
        ("[replace(a, b), upper]", (("replace", ("a", "b")), ("upper", ()))),
        ('[\'replace(" ", "_")\']', (("replace", (" ", "_")),)),
        ("['map({fr: France, de: Germany})']", (("map", ({"fr": "France", "de": "Germany"},)),)),
        ("[{map: {fr: France}}, {default: none}]", (("map", ({"fr": "France"},)), ("default", ("none",)))),
        ("[default(unknown), sha256]", (("default", ("unknown",)), ("sha256", ()))),
    ],
)
def test_transforms(written: str, parsed: object, tmp_path: Path) -> None:
    loaded, problems = judged(
        write(tmp_path, {"profile.yaml": profile(f"{{tier: {{field: tier, transform: {written}}}}}")})
    )
    assert problems == ()
    spec = loaded.specs["mapping/profile"]
    assert isinstance(spec, Mapping)
    assert spec.attributes["tier"].transform == parsed


def test_dates_quoted_or_not(tmp_path: Path) -> None:
    for until in ("2026-12-01", "'2026-12-01'"):
        text = link(f"allow: {{remove_percent: 50, until: {until}, reason: x}}")
        spec = load(write(tmp_path, {"link.yaml": text})).specs["segment-link/lapsed-ios"]
        assert isinstance(spec, SegmentLink)
        assert spec.allow is not None
        assert spec.allow.until == date(2026, 12, 1)


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    first = load(write(tmp_path / "a", {}))
    moved = {
        "segment.yaml": None,
        "link.yaml": None,
        "z/both.yaml": f"{segment('title: Lapsed buyers')}---\n# comment\n{link('')}",
    }
    same = load(write(tmp_path / "b", moved))
    assert first.digest == same.digest
    assert load(write(tmp_path / "c", {"segment.yaml": segment("title: Other")})).digest != first.digest
    assert load(write(tmp_path / "a", {}), environment="prod").digest != first.digest


def test_the_order_of_objects_is_that_of_their_addresses(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, {}))
    assert list(loaded.specs) == sorted(loaded.specs)
    assert len(loaded.specs) == len(VALID)
