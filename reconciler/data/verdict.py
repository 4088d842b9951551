"""Desired × told × uncertain → what happens to each identifier: one exact keyed join over the candidates.

    member  told  uncertain │ audience                                   profiles
    ────────────────────────┼────────────────────────────────────────────────────────────────────────────
      no     yes     *      │ consent (withheld) · held · kept · remove  the same, with attributes as null
      no     no      yes    │ consent · held, kept again · remove again  the same, with every name possibly held as null
      yes    no      *      │ add                                        add
      yes    yes     no     │ nothing, or add / reset + put if changed   nothing, or add with nulls if changed
      yes    yes     yes    │ add again / reset + put                    add again

*Uncertain* is who a cut request may have reached: they are brought back to what was told, also where people who leave keep
their attributes, as nobody knows that they were told more. Who was refused in part, or refused while uncertain, is not:
such people are sent as little as those who were told (a wish that was refused is not repeated), but Batch may hold what was
wished. So who leaves and is kept keeps that, in a row sent for another reason too; and who leaves and is not, is withheld or
is to have other values gets nulls for it.

A full upload of an audience asserts who is held or kept as well: the count may differ because they are gone.
Of an audience that starts anew (`anew`) every member is sent, and so is who was told and is held or kept: they would
be lost otherwise. Removals for consent are staged all the same, for the case that the rest is refused.

A *put* follows its *reset* after a barrier because an add cannot drop an attribute key
(https://doc.batch.com/developer/api/cep/audiences/update describes add and remove only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.data.engine import Engine
from reconciler.data.people import Desired
from reconciler.data.refusals import wish
from reconciler.data.sql import DUCK_TYPES, Person, disjunction, ident, key_text, lit, told_person

TAGS = "$tags"
ORDER = "CASE kind WHEN 'consent' THEN 0 WHEN 'remove' THEN 1 WHEN 'reset' THEN 2 WHEN 'add' THEN 3 ELSE 4 END"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one target treats people who leave, and on what footing it is compared."""

    profiles: bool
    attributes: Mapping[str, str]
    """Every attribute of the target now or told before → logical type."""
    sent: frozenset[str]
    """Attributes the target carries now."""
    unset_on_exit: frozenset[str]
    """Profiles: attributes cleared for people who left; all others are kept."""
    delete: bool
    """Audiences: people who left are removed."""
    everybody: bool
    consent_only: bool = False
    """Nobody is sent and nobody leaves but who is withheld: an orphan that is kept."""
    made: bool = False
    """A one-time push that was made: nobody joins or leaves any more but who is withheld, or was cut off."""
    anew: bool = False
    """A *replace*, or an audience created anew: who is not sent is gone, and no removal has to be sent."""
    retry_rejects: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Relations over the candidates; None where there is nothing."""

    desired: Desired
    told: str | None
    uncertain: str | None
    asserted: str | None
    """What uncertain rows may have told Batch: who is held or kept is asserted by it again."""
    person: Person
    """By what the people of the next three are compared."""
    held_keys: str | None
    """SQL of people whose rows cannot be trusted this time."""
    hold_missing: str | None
    """SQL of all people of the catalogues, when rows without a readable key may be anybody missing from them."""
    withheld_keys: str | None
    refusals: str | None


def decide(engine: Engine, inputs: Inputs, rules: Rules) -> str:
    """A table of verdicts: ``id, kind, k, held, a:…, change, refused`` (kind NULL: nothing is sent)."""
    verdict = ident(engine.table("verdict"))
    joined = (
        f"SELECT *, {_fault(inputs)} AS fault_hold, {_withheld(inputs)} AS withheld FROM ({_joined(inputs, rules)})"
    )
    engine.run(f"CREATE TEMP TABLE {verdict} AS {_verdict(_final(joined, rules), inputs, rules)}")
    return verdict


def _joined(inputs: Inputs, rules: Rules) -> str:
    names = list(rules.attributes)
    wanted = [ident(f"{mark}:{name}") for name in names if name in rules.sent for mark in "arc"]
    d = f"SELECT id, k{''.join(', ' + name for name in wanted)} FROM {inputs.desired.table}"
    told_columns = "".join(f", {ident(f'a:{name}')}" for name in names)
    t = (
        f"SELECT id, k, {told_person('told', inputs.person)} AS told_k{told_columns} FROM {inputs.told} AS told"
        if inputs.told
        else _nothing(inputs, rules)
    )
    both = f"({d}) AS d FULL JOIN ({t}) AS t ON d.id = t.id"
    key = "CASE WHEN d.id IS NOT NULL THEN d.k"  # NULL is a value: the identifier is the key
    picked = ["d.id IS NOT NULL AS is_d", "t.id IS NOT NULL AS is_t"]
    if inputs.uncertain:
        s = f"SELECT id, k, {told_person('told', inputs.person)} AS told_k{told_columns} FROM {inputs.asserted} AS told"
        both += f" FULL JOIN {inputs.uncertain} AS u ON coalesce(d.id, t.id) = u.id"
        both += f" LEFT JOIN ({s if inputs.asserted else _nothing(inputs, rules)}) AS s ON s.id = u.id"
        picked += [
            "coalesce(d.id, t.id, u.id) AS id",
            f"{key} WHEN t.id IS NOT NULL THEN t.k ELSE s.k END AS k",
            "coalesce(t.told_k, s.told_k) AS told_k",
        ]
        picked += ["u.id IS NOT NULL AS is_u", "coalesce(u.cut, FALSE) AS cut"]
        picked += ["s.id IS NOT NULL AS is_s", "coalesce(u.names, []) AS unsure"]
    else:
        picked += ["coalesce(d.id, t.id) AS id", f"{key} ELSE t.k END AS k", "t.told_k"]
        picked += ["FALSE AS is_u", "FALSE AS cut", "FALSE AS is_s", "CAST([] AS VARCHAR[]) AS unsure"]
    for name in names:
        column = ident(f"a:{name}")
        kind = DUCK_TYPES[rules.attributes[name]]
        has = name in rules.sent
        picked.append(f"{f'd.{column}' if has else f'CAST(NULL AS {kind})'} AS {ident(f'd:{name}')}")
        picked.append(f"{f'''d.{ident(f'r:{name}')} IS NOT NULL''' if has else 'FALSE'} AS {ident(f'b:{name}')}")
        picked.append(f"{f'''coalesce(d.{ident(f'c:{name}')}, FALSE)''' if has else 'FALSE'} AS {ident(f'c:{name}')}")
        asserted = f"s.{column}" if inputs.uncertain else f"CAST(NULL AS {kind})"
        picked += [f"t.{column} AS {ident(f't:{name}')}", f"{asserted} AS {ident(f's:{name}')}"]
    return f"SELECT {', '.join(picked)} FROM {both}"


def _fault(inputs: Inputs) -> str:
    """True for identifiers told, or perhaps told, of a person whose row cannot be trusted this time: a data fault is not an exit."""
    held = [f"told_k IN ({inputs.held_keys})"] if inputs.held_keys else []
    if inputs.hold_missing:
        held.append(f"told_k NOT IN ({inputs.hold_missing})")
    if inputs.desired.checked:
        held.append(f"id IN (SELECT id FROM {inputs.desired.checked} WHERE reason IS NOT NULL AND id IS NOT NULL)")
    return f"coalesce((is_t OR is_s) AND ({disjunction(held)}), FALSE)"


def _withheld(inputs: Inputs) -> str:
    """True for identifiers that somebody without consent has, or was told to have."""
    found = [f"id IN (SELECT id FROM {inputs.desired.withheld})"] if inputs.desired.withheld else []
    if inputs.withheld_keys:
        found.append(f"told_k IN ({inputs.withheld_keys})")
    return f"coalesce({disjunction(found)}, FALSE)"


def _nothing(inputs: Inputs, rules: Rules) -> str:
    columns = "".join(
        f", CAST(NULL AS {DUCK_TYPES[kind]}) AS {ident(f'a:{name}')}" for name, kind in rules.attributes.items()
    )
    kind = "VARCHAR" if inputs.person is key_text else "UUID"
    return f"SELECT NULL::VARCHAR AS id, NULL::UUID AS k, NULL::{kind} AS told_k{columns} WHERE FALSE"


def _final(joined: str, rules: Rules) -> str:
    """Adds the value each attribute is to have (``a:``), the names possibly held, and those to drop.

    Who is no member (held, kept) has the values told, in case they are asserted again.
    """
    finals, told_names, final_names, wished = [], [], [], []
    for name in rules.attributes:
        d, t, s, bad, covered = (ident(f"{mark}:{name}") for mark in "dtsbc")
        stays = "NOT is_d AND fault_hold" if rules.profiles else "NOT is_d"
        kept = (
            f"CASE WHEN {_WISHED if rules.profiles else 'FALSE'} THEN {s} WHEN is_t THEN {t} WHEN {stays} THEN {s} END"
        )
        gone = f"CASE WHEN fault_hold THEN {kept} END" if name in rules.unset_on_exit else kept
        if rules.profiles:
            value = f"CASE WHEN {bad} THEN {kept} WHEN {covered} THEN {d} ELSE {gone} END"
        else:
            value = f"CASE WHEN {bad} OR NOT is_d THEN {kept} ELSE {d} END"
        kind = DUCK_TYPES[rules.attributes[name]]
        finals.append(f"CAST({value} AS {kind}) AS {ident(f'a:{name}')}")
        wished.append(f"{ident(f'a:{name}')} IS DISTINCT FROM {s}")
        told_names.append(f"CASE WHEN {t} IS NOT NULL THEN {lit(name)} END")
        final_names.append(f"CASE WHEN {ident(f'a:{name}')} IS NOT NULL THEN {lit(name)} END")
    may_hold = f"list_sort(list_distinct(list_concat({_present(told_names)}, unsure)))"
    inner = f"SELECT *{''.join(', ' + final for final in finals)}, {may_hold} AS may_hold FROM ({joined})"
    names = f"list_filter(may_hold, lambda x: NOT list_contains({_present(final_names)}, x))"
    drops = names if final_names else "may_hold"
    if TAGS in rules.attributes and not rules.profiles:
        lost = f"NOT list_has_all({ident(f'a:{TAGS}')}, {ident(f't:{TAGS}')})"  # an add may merge into the tags held
        drops = f"list_concat({drops}, CASE WHEN coalesce({lost}, FALSE) THEN [{lit(TAGS)}] ELSE [] END)"
    changed = disjunction(f"{ident(f'a:{name}')} IS DISTINCT FROM {ident(f't:{name}')}" for name in rules.attributes)
    empty = " AND ".join(f"{ident(f'a:{name}')} IS NULL" for name in rules.attributes) or "TRUE"
    found = f"SELECT *, {drops} AS drops, {changed} AS changed, {empty} AS empty FROM ({inner})"
    loses = f"CASE WHEN {_WISHED} THEN {disjunction(wished)} ELSE changed OR len(drops) > 0 END"
    return f"SELECT *, {loses} AS loses FROM ({found})"


_WISHED = "(is_s AND NOT cut)"
"""Batch refused the wish, or a part of it: it may hold any of its values."""


def _present(cases: list[str]) -> str:
    return f"list_filter([{', '.join(cases)}], lambda x: x IS NOT NULL)" if cases else "CAST([] AS VARCHAR[])"


def _verdict(final: str, inputs: Inputs, rules: Rules) -> str:
    marked = f"SELECT *, (is_t OR is_s) AND NOT is_d AND fault_hold AND NOT withheld AS held_back FROM ({final})"
    staged = f"SELECT *, {_change(rules)} AS change FROM (SELECT *, {_kind(rules)} AS kind FROM ({marked}))"
    values = "".join(f", {_value(name)}" for name in rules.attributes)
    sent, join, refused = staged, "", "FALSE"
    if inputs.refusals and not rules.retry_rejects:
        sent = f"SELECT *, {wish([f'a:{name}' for name in rules.attributes])} AS wish FROM ({staged})"
        join = f" LEFT JOIN {inputs.refusals} AS rf ON rf.id = sent.id AND rf.wish = sent.wish"
        wished = "sent.kind IS NOT NULL AND sent.kind <> 'consent' AND NOT sent.cut"
        refused = f"coalesce(rf.id IS NOT NULL AND {wished}, FALSE)"
    return (
        f"SELECT sent.id, sent.kind, sent.k, {_held(rules)} AS held{values}, sent.change, sent.held_back, "
        f"{refused} AS refused, {'rf.reason' if join else 'NULL::VARCHAR'} AS words, "
        f"sent.is_t, sent.is_u, {_cleared(rules)} AS cleared FROM ({sent}) AS sent{join}"
    )


def _kind(rules: Rules) -> str:
    if rules.consent_only:
        return "CASE WHEN (is_t OR is_u) AND withheld THEN 'consent' END"
    if rules.anew:
        stays = "held_back" if rules.delete else "is_t OR is_s"
        return f"CASE WHEN is_d THEN 'add' WHEN withheld AND (is_t OR is_u) THEN 'consent' WHEN {stays} THEN 'add' END"
    again = "TRUE" if rules.everybody else "is_u"
    known = f"is_t OR {_WISHED}" if rules.profiles else "is_t" if rules.delete else "is_t OR is_s"
    drop = "FALSE" if rules.profiles else "len(drops) > 0 AND (is_t OR is_u)"
    member = f"CASE WHEN is_t AND NOT changed AND len(drops) = 0 AND NOT {again} THEN NULL WHEN {drop} THEN 'put' ELSE 'add' END"
    if rules.profiles:
        gone = f"CASE WHEN loses AND empty THEN 'remove' WHEN loses OR {'TRUE' if rules.everybody else 'cut'} AND NOT empty THEN 'add' END"
        member = f"CASE WHEN empty AND is_t THEN 'remove' WHEN empty AND len(drops) > 0 THEN 'remove' WHEN empty THEN NULL ELSE {member} END"
    else:
        gone = "'remove'" if rules.delete else f"CASE WHEN {again} THEN 'add' END"
    kind = (
        "CASE WHEN NOT is_d AND (is_t OR is_u) AND withheld THEN 'consent' "
        f"WHEN is_d THEN {member} WHEN held_back THEN CASE WHEN {'cut' if rules.profiles else again} THEN 'add' END "
        f"WHEN {known} THEN {gone} WHEN is_u THEN 'remove' END"
    )
    return f"CASE WHEN cut OR withheld THEN {kind} END" if rules.made else kind


def _change(rules: Rules) -> str:
    """What guards count: added, removed, changed; again = only re-asserted. Who a *replace* drops is removed, unsent."""
    if rules.anew:
        return (
            "CASE kind WHEN 'consent' THEN 'consent' WHEN 'add' THEN CASE WHEN NOT is_t AND is_d THEN 'added' "
            "WHEN is_t AND changed AND NOT held_back THEN 'changed' ELSE 'again' END ELSE CASE WHEN is_t THEN 'removed' END END"
        )
    return (
        "CASE kind WHEN 'consent' THEN 'consent' WHEN 'remove' THEN CASE WHEN is_t THEN 'removed' ELSE 'again' END "
        "WHEN 'add' THEN CASE WHEN NOT is_t AND is_d THEN 'added' WHEN is_t AND changed AND NOT held_back THEN 'changed' ELSE 'again' END "
        "WHEN 'put' THEN CASE WHEN NOT is_t THEN 'added' WHEN changed THEN 'changed' ELSE 'again' END END"
    )


def _value(name: str) -> str:
    """The value sent; none on removals."""
    column = ident(f"a:{name}")
    return f"CASE WHEN sent.kind IN ('add', 'put') THEN sent.{column} END AS {column}"


def _held(rules: Rules) -> str:
    """Names to null (profiles), or that a reader of an unacknowledged row must still reckon with (audiences)."""
    if rules.anew:
        return "CAST([] AS VARCHAR[])"
    return (
        "CASE WHEN sent.kind IN ('consent', 'remove') THEN sent.may_hold ELSE sent.drops END"
        if rules.profiles
        else "sent.drops"
    )


def _cleared(rules: Rules) -> str:
    if rules.anew:
        return "FALSE"
    lost = disjunction(
        f"sent.{ident(f't:{name}')} IS NOT NULL AND sent.{ident(f'a:{name}')} IS NULL" for name in rules.attributes
    )
    return f"coalesce(sent.kind IS NOT NULL AND sent.is_t AND (sent.kind = 'consent' OR {lost}), FALSE)"
