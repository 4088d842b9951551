"""References → links and targets: names, prefixes, serial order, moves, and what only all links together show."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import pytest

from reconciler.address import IdType, Space, TargetKey
from reconciler.link import Resolution
from reconciler.link.names import default_name
from reconciler.spec import Project
from tests.link.kit import TODAY, resolved, told

ACTIONS = """
Action ios_ids: {destination: ios, type: send_custom_ids, mapping: custom_id}
Action ios_inst: {destination: ios, type: send_install_ids, mapping: install_id}
Action crm_ids: {destination: crm, type: send_custom_ids, mapping: custom_id}
Action crm_mail: {destination: crm, type: send_emails, mapping: email}
"""


def links(text: str, **options: object) -> Resolution:
    return resolved(ACTIONS + text, **options)  # type: ignore[arg-type]  # options of resolve by name


@pytest.mark.parametrize(
    ("title", "number", "kind", "name"),
    [
        ("Test - Batch Send Custom IDs", 1562, IdType.INSTALL, "Test_-_Batch_Send_Custom_IDs_1562_install_ids"),
        ("Lapsed buyers", 1562, IdType.INSTALL, "Lapsed_buyers_1562_install_ids"),
        ("Lapsed buyers", None, IdType.CUSTOM, "Lapsed_buyers_custom_ids"),
        ("Lapsed buyers", 0, IdType.EMAIL, "Lapsed_buyers_0_emails"),
        ("a  b\t&\nc", None, IdType.ADVERTISING, "a_b_c_advertising_ids"),
        ("Été à Paris", None, IdType.CUSTOM, "_t_Paris_custom_ids"),
        ("already_ok-1", 7, IdType.CUSTOM, "already_ok-1_7_custom_ids"),
        ("(x)", None, IdType.CUSTOM, "_x__custom_ids"),
    ],
)
def test_default_names(title: str, number: int | None, kind: IdType, name: str) -> None:
    assert default_name(title, number, kind) == name


def test_the_documented_name_of_a_whole_link() -> None:
    found = links(
        "Segment test: {catalogue: people, where: flag, title: Test - Batch Send Custom IDs, id: 1562}\n"
        "SegmentLink l: {segment: test, action: ios_inst}"
    )
    assert [str(target.key) for target in found.targets] == [
        "ios/mep-1.1/Test_-_Batch_Send_Custom_IDs_1562_install_ids"
    ]
    assert found.targets[0].display_name == "Test - Batch Send Custom IDs"


def test_a_segment_without_a_title_lends_its_name() -> None:
    found = links(
        "Segment lapsed_ones: {catalogue: people, where: flag}\nSegmentLink l: {segment: lapsed_ones, action: ios_ids}"
    )
    assert found.targets[0].key == TargetKey("ios", Space.MEP10, "lapsed-ones_custom_ids")
    assert found.targets[0].display_name is None


@pytest.mark.parametrize(
    ("own", "name"), [("", "prod_Some_people_custom_ids"), (", audience: {name: vips}", "prod_vips")]
)
def test_the_prefix_goes_in_front_of_every_name(own: str, name: str) -> None:
    found = links(f"SegmentLink l: {{segment: some, action: ios_ids{own}}}", prefix="prod_")
    assert [target.key.audience for target in found.targets] == [name]


def test_the_prefix_is_that_of_the_environment() -> None:
    document = {"apiVersion": "batchctl/v1", "kind": "Project", "name": "shop", "state": {"url": "here"}}
    project = Project.model_validate(
        {**document, "environments": {"prod": {"audience_prefix": "p_"}, "dev": {"state": {"url": "there"}}}}
    )
    assert [project.prefix(name) for name in (None, "prod", "dev")] == ["", "p_", ""]
    assert [project.state_url(name) for name in (None, "prod", "dev")] == ["here", "here/prod", "there"]


def test_the_display_name_of_the_link_wins() -> None:
    found = links("SegmentLink l: {segment: some, action: ios_ids, audience: {display_name: Shown}}")
    assert found.targets[0].display_name == "Shown"


def test_a_name_that_is_too_long() -> None:
    title = "x" * 244
    text = f"Segment some: {{catalogue: people, where: flag, title: {title}}}\nSegmentLink l: {{segment: some, action: ios_ids}}"
    assert told(links(text)) == []
    assert told(links(text, prefix="p")) == [("audience-name", "segment-link/l:audience.name")]


def test_two_links_of_one_name_in_one_account() -> None:
    found = links("SegmentLink a: {segment: some, action: ios_ids}\nSegmentLink b: {segment: some, action: ios_ids}")
    assert told(found) == [("audience-name", "segment-link/b:audience.name")]
    assert "segment-link/a and segment-link/b" in found.errors[0].what
    assert "audience: {name: …}" in found.errors[0].fix


def test_mep_10_and_11_share_their_names() -> None:
    own = "audience: {name: one}"
    found = links(
        f"SegmentLink a: {{segment: some, action: ios_ids, {own}}}\nSegmentLink b: {{segment: some, action: ios_inst, {own}}}"
    )
    assert told(found) == [("audience-name", "segment-link/b:audience.name")]


def test_one_name_in_two_accounts_is_fine() -> None:
    text = "Segment some: {catalogue: people, where: flag, activation: serial}\n"
    text += "SegmentLink a: {segment: some, action: ios_ids}\nSegmentLink b: {segment: some, action: crm_ids}"
    assert told(links(text)) == []


def test_names_that_differ_by_case_only_are_a_warning() -> None:
    text = "SegmentLink a: {segment: some, action: ios_ids, audience: {name: VIP}}\n"
    found = links(text + "SegmentLink b: {segment: some, action: ios_ids, audience: {name: vip}}")
    assert told(found) == []
    assert ("audience-case", "segment-link/b:audience.name") in told(found, "warning")


def test_a_segment_goes_to_one_destination() -> None:
    text = "SegmentLink a: {segment: some, action: ios_ids}\nSegmentLink b: {segment: some, action: crm_ids}\n"
    found = links(text)
    assert told(found) == [("one-destination", "segment-link/b:segment")]
    assert "write activation: serial in segment/some" in found.errors[0].fix
    assert "segment-link/a, segment-link/b" in found.errors[0].why


def test_two_links_to_one_destination_are_one_destination() -> None:
    assert (
        told(links("SegmentLink a: {segment: some, action: ios_ids}\nSegmentLink b: {segment: some, action: ios_inst}"))
        == []
    )


def test_a_serial_segment_activates_its_links_one_after_another() -> None:
    text = "Segment some: {catalogue: people, where: flag, activation: serial}\n"
    text += "".join(
        f"SegmentLink {a}: {{segment: some, action: {a}}}\n" for a in ("ios_ids", "ios_inst", "crm_ids", "crm_mail")
    )
    found = links(text)
    assert told(found) == []
    keys = [target.key for target in found.targets]
    assert len(keys) == 4
    assert keys == sorted(keys)
    assert [target.after for target in found.targets] == [(), *((key,) for key in keys[:-1])]


def test_serial_chains_of_shared_targets_have_no_circle() -> None:
    text = ACTIONS + "".join(
        f"Mapping p{n}: {{catalogue: people, identifier: {{custom_id: pid}}, attributes: {{t{n}: text}}}}\n"
        f"Action x{n}: {{destination: {where}, type: send_attributes, mapping: p{n}}}\n"
        for n, where in ((0, "ios"), (1, "crm"))
    )
    declared = "rest_api_key: '${env:R}', attributes: {t0: string, t1: string}"
    text += f"Destination ios: {{platform: mep, live_api_key: '${{env:A}}', {declared}}}\n"
    text += f"Destination crm: {{platform: cep, project_key: '${{env:B}}', {declared}}}\n"
    for n, actions in enumerate(combinations(("x0", "x1", "ios_ids", "crm_ids"), 2)):
        text += f"Segment s{n}: {{catalogue: people, where: flag, activation: serial}}\n"
        text += "".join(f"SegmentLink l{n}_{a}: {{segment: s{n}, action: {a}}}\n" for a in actions)
    found = resolved(text)
    assert told(found) == []
    before = {target.key: set(target.after) for target in found.targets}
    done: set[TargetKey] = set()
    while ready := {key for key, earlier in before.items() if key not in done and earlier <= done}:
        done |= ready
    assert done == set(before)


def test_links_of_one_destinations_profiles_are_one_target() -> None:
    text = "Destination crm: {platform: cep, project_key: '${env:B}', rest_api_key: '${env:R}', attributes: {t: string, n: integer}}\n"
    text += "Mapping p: {catalogue: people, identifier: {custom_id: pid}, attributes: {t: text}}\n"
    text += "Mapping q: {catalogue: people, identifier: {custom_id: pid}, attributes: {n: whole}}\n"
    text += "".join(f"Action {a}: {{destination: crm, type: send_attributes, mapping: {a}}}\n" for a in ("p", "q"))
    text += "".join(f"SegmentLink {a}: {{segment: some, action: {a}}}\n" for a in ("p", "q"))
    found = resolved(text)
    assert told(found) == []
    (target,) = found.targets
    assert (str(target.key), [link.address for link in target.links]) == (
        "crm/cep/$profiles",
        ["segment-link/p", "segment-link/q"],
    )
    assert [(one.name, one.type) for one in target.attributes] == [("n", "integer"), ("t", "string")]


def _writers(second: str, mappings: str) -> Resolution:
    text = (
        "Destination crm: {platform: cep, project_key: '${env:B}', rest_api_key: '${env:R}', attributes: {t: string}}\n"
    )
    text += f"{mappings}\nAction x: {{destination: crm, type: send_attributes, mapping: p}}\n"
    text += f"Action y: {{destination: crm, type: send_attributes, {second}}}\n"
    text += "Segment others: {catalogue: people, where: NOT flag}\n"
    return resolved(text + "SegmentLink a: {segment: some, action: x}\nSegmentLink b: {segment: others, action: y}")


_P = "Mapping p: {catalogue: people, identifier: {custom_id: pid}, attributes: {t: text}}"


def test_two_mappings_may_not_write_one_attribute() -> None:
    found = _writers("mapping: q", f"{_P}\n{_P.replace('Mapping p', 'Mapping q')}")
    assert told(found) == [("attribute-writers", "mapping/q:attributes.t")]
    assert "keep t in one of them" in found.errors[0].fix


def test_one_mapping_in_two_actions_may() -> None:
    assert told(_writers("mapping: p", _P)) == []


def test_two_actions_may_not_disagree_about_those_who_left() -> None:
    assert told(_writers("mapping: p, on_exit: unset", _P)) == [("attribute-exit", "action/y:on_exit")]


def test_moved_from() -> None:
    base = "SegmentLink l: {segment: some, action: ios_ids, moved_from: segment-link/%s}\n"
    assert told(links(base % "former")) == []
    assert told(links(base % "l")) == [("moved-from", "segment-link/l:moved_from")]
    other = "Segment others: {catalogue: people, where: flag}\nSegmentLink m: {segment: others, action: ios_ids%s}\n"
    assert told(links(base % "m" + other % "")) == [("moved-from", "segment-link/l:moved_from")]
    both = links(base % "former" + other % ", moved_from: segment-link/former")
    assert told(both) == [("moved-from", "segment-link/m:moved_from")]
    assert "keep moved_from in one of them" in both.errors[0].fix


def test_the_key_of_a_target_is_not_the_name_of_its_link() -> None:
    one = links("SegmentLink before: {segment: some, action: ios_ids}").targets[0].key
    other = links("SegmentLink after: {segment: some, action: ios_ids, moved_from: segment-link/before}").targets[0].key
    assert one == other


@pytest.mark.parametrize(("until", "counts"), [(date(2026, 6, 1), True), (date(2026, 5, 31), False)])
def test_an_allow_ends_with_its_last_day(until: date, counts: bool) -> None:
    text = (
        f"SegmentLink l: {{segment: some, action: ios_ids, allow: {{remove_percent: 50, until: '{until}', reason: x}}}}"
    )
    found = links(text, today=TODAY)
    assert (found.links[0].spec.allow is not None) is counts
    assert (("allow-expired", "segment-link/l:allow.until") in told(found, "warning")) is not counts


def test_an_audience_block_where_there_is_no_audience() -> None:
    text = (
        _P
        + "\nDestination crm: {platform: cep, project_key: '${env:B}', rest_api_key: '${env:R}', attributes: {t: string}}\n"
    )
    text += "Action x: {destination: crm, type: send_attributes, mapping: p}\nSegmentLink l: {segment: some, action: x, audience: {name: a}}"
    assert told(resolved(text)) == [("audience-block", "segment-link/l:audience")]


def test_a_segment_and_a_mapping_of_two_catalogues() -> None:
    text = "Catalogue others: {source: {path: o.csv}, key: pid, fields: {pid: string}}\n"
    found = links(
        text
        + "Segment some: {catalogue: others, where: pid IS NOT NULL}\nSegmentLink l: {segment: some, action: ios_ids}"
    )
    assert told(found) == [("catalogue-mismatch", "segment-link/l:segment")]


@pytest.mark.parametrize(
    ("text", "path", "fix"),
    [
        ("SegmentLink l: {segment: sme, action: ios_ids}", "segment-link/l:segment", "did you mean some?"),
        ("SegmentLink l: {segment: some, action: ios-id}", "segment-link/l:action", "did you mean ios-ids?"),
        (
            "Action ios_ids: {destination: ioss, type: send_custom_ids, mapping: custom_id}",
            "action/ios-ids:destination",
            "did you mean ios?",
        ),
        (
            "Action ios_ids: {destination: ios, type: send_custom_ids, mapping: zzz}",
            "action/ios-ids:mapping",
            "use one of advertising-id",
        ),
        (
            "Mapping custom_id: {catalogue: peple, identifier: {custom_id: pid}}",
            "mapping/custom-id:catalogue",
            "did you mean people?",
        ),
        ("Segment some: {catalogue: peple, where: flag}", "segment/some:catalogue", "did you mean people?"),
    ],
)
def test_dangling_references(text: str, path: str, fix: str) -> None:
    found = links(text)
    assert told(found) == [("dangling", path)]
    assert fix in found.errors[0].fix
    address = found.errors[0].what.removeprefix("there is no ")
    assert told(links(text, unread={address})) == []


def test_what_nothing_uses_is_a_warning_unless_something_could_not_be_read() -> None:
    found = links("SegmentLink l: {segment: some, action: ios_ids}")
    unused = {path for rule, path in told(found, "warning") if rule == "unused"}
    assert unused == {f"action/{name}:name" for name in ("ios-inst", "crm-ids", "crm-mail")} | {
        "mapping/advertising-id:name"
    }
    assert told(links("SegmentLink l: {segment: some, action: ios_ids}", unread={"segment/x"}), "warning") == []


def test_two_destinations_behind_one_key_are_one_account() -> None:
    text = "Destination ios2: {platform: mep, live_api_key: '${env:A}', rest_api_key: '${env:R}'}\n"
    text += "Action b: {destination: ios2, type: send_custom_ids, mapping: custom_id}\n"
    text += "Segment more: {catalogue: people, where: flag, title: Some people}\n"
    text += "SegmentLink l: {segment: some, action: ios_ids}\nSegmentLink m: {segment: more, action: b}"
    found = links(text, accounts={"ios": "a1", "ios2": "a1"})
    assert told(found) == [("audience-name", "segment-link/m:audience.name")]
    assert ("same-account", "destination/ios2:name") in told(found, "warning")


def test_labels_stay_with_the_link() -> None:
    found = links("SegmentLink l: {segment: some, action: ios_ids, labels: {team: crm}}")
    assert found.links[0].spec.labels == {"team": "crm"}
    assert found.targets[0].key == links("SegmentLink l: {segment: some, action: ios_ids}").targets[0].key
