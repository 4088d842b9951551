"""Mistakes people make in specs: a file of the valid project written anew, § before the wrong place, and what is said."""

from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    """One mistake: the file, its text, the rule that finds it, and words of the fix proposed."""

    name: str
    file: str
    text: str
    rule: str
    fix: str


def _head(kind: str, name: str, *more: str) -> str:
    return "\n".join(["apiVersion: batchctl/v1", f"kind: {kind}", f"name: {name}", *more, ""])


def segment(body: str, where: str = "where: orders > 3\n") -> str:
    """A segment with `body` on line 5."""
    return _head("Segment", "lapsed-buyers", "catalogue: customers") + body + "\n" + where


def link(body: str) -> str:
    """A link with `body` on line 6."""
    return _head("SegmentLink", "lapsed-ios", "segment: lapsed-buyers", "action: ios-ids") + body + "\n"


def project(body: str) -> str:
    """The project with `body` on line 4."""
    return _head("Project", "shop") + body + "\n"


def catalogue(
    body: str = "", *, source: str = "{path: data/customers.parquet}", fields: str = "", key: str = "pid"
) -> str:
    """A catalogue with its source on line 4, its key on line 5, its fields on line 6 and `body` on line 7."""
    listed = fields or "{pid: string, customer_id: string, tier: string, orders: integer, ok: boolean}"
    lines = (f"source: {source}", f"key: {key}", f"fields: {listed}")
    return _head("Catalogue", "customers", *lines) + body + "\n"


def mapping(body: str) -> str:
    """A mapping with `body` on line 5."""
    return _head("Mapping", "ids", "catalogue: customers") + body + "\n"


def profile(attributes: str) -> str:
    """The mapping of profiles with its attributes on line 6."""
    lines = ("catalogue: customers", "identifier: {custom_id: customer_id}")
    return _head("Mapping", "profile", *lines) + f"attributes: {attributes}\n"


def action(body: str) -> str:
    """An action with `body` on line 4."""
    return _head("Action", "ios-ids") + body + "\n"


def destination(body: str, keys: str = "live_api_key: ${env:A}\nrest_api_key: ${env:B}\n") -> str:
    """An MEP destination with its keys on lines 5 and 6 and `body` on line 7."""
    return _head("Destination", "shop-ios", "platform: mep") + keys + body + "\n"


def cep(body: str) -> str:
    """The CEP destination with `body` on line 7."""
    lines = ("platform: cep", "project_key: ${env:A}", "rest_api_key: ${env:B}")
    return _head("Destination", "crm", *lines) + body + "\n"


S, L, P, C, X = "segment.yaml", "link.yaml", "project.yaml", "catalogue.yaml", "extra.yaml"
M, R, A, D, E = "mapping.yaml", "profile.yaml", "action.yaml", "destination.yaml", "crm.yaml"
_IDS = "destination: shop-ios\ntype: send_custom_ids\nmapping: ids"
_GRAPH = "identity_graph: {source: {path: data/d.csv}, key: pid, "

MISTAKES = (
    # What YAML reads as something else
    Mistake("on", S, segment("title: §on"), "yaml-boolean", '"on" in quotes'),
    Mistake("yes", S, segment("title: §yes"), "yaml-boolean", '"yes" in quotes'),
    Mistake("no", S, segment("labels: {country: §no}"), "yaml-boolean", '"no" in quotes'),
    Mistake(
        "capital-true", A, action(f"{_IDS}\nid_extension: §True"), "yaml-boolean", "write true if a boolean is meant"
    ),
    Mistake("octal", S, segment("title: §012"), "yaml-octal", 'write "012" in quotes'),
    Mistake("underscore", S, segment("id: §1_000"), "yaml-number", "write 1000 if a number is meant"),
    Mistake("hexadecimal", S, segment("title: §0x1F"), "yaml-number", 'write "0x1F" in quotes'),
    Mistake("exponent", S, segment("title: §1e3"), "yaml-number", 'write "1e3" in quotes'),
    Mistake("infinity", S, segment("id: §.inf"), "yaml-number", "in quotes"),
    Mistake("sexagesimal", L, link("refresh: {every: 1d, at: §1:30}"), "yaml-sexagesimal", 'write "1:30" in quotes'),
    Mistake("time", L, link("refresh: {every: 1d, at: §06:00}"), "yaml-sexagesimal", 'write "06:00" in quotes'),
    Mistake("bare-date", S, segment("title: §2026-01-01"), "wrong-type", 'write "2026-01-01" in quotes'),
    Mistake("bare-number", S, segment("title: §2024"), "wrong-type", 'write "2024" in quotes'),
    Mistake("bare-boolean", S, segment("title: §true"), "wrong-type", 'write "true" in quotes'),
    Mistake(
        "bare-time", S, segment("title: §2026-01-01 10:00:00"), "yaml-timestamp", '"2026-01-01 10:00:00" in quotes'
    ),
    Mistake("null", S, segment("title: §null"), "no-value", "write a value, or remove the key"),
    Mistake("nothing", S, segment("title:§"), "no-value", "write a value, or remove the key"),
    Mistake("equals", S, segment("title: §="), "reserved-word", 'write "="'),
    Mistake("quoted-number", S, segment("id: §'12'"), "wrong-type", "write 12 without quotes"),
    Mistake("quoted-boolean", A, action(f"{_IDS}\ndelete: §'false'"), "wrong-type", "write false without quotes"),
    # YAML that nobody should need
    Mistake("tag", S, segment("title: §!!str x"), "tag", "remove the tag"),
    Mistake("python-tag", S, segment("title: §!!python/object/apply:os.system [x]"), "tag", "remove the tag"),
    Mistake("merge-key", S, segment("labels: {§<<: {a: b}}"), "merge-key", "write the keys out"),
    Mistake("alias", S, segment("description: §*nobody"), "syntax", "quote a text that starts with *"),
    Mistake("deep", S, segment("labels: " + "[" * 32 + "§" + "[" * 8 + "]" * 40), "depth", "flatten it"),
    Mistake("very-deep", S, segment("labels: " + "[" * 31 + "§" + "[" * 300 + "]" * 331), "depth", "flatten it"),
    Mistake("complex-key", S, segment("? §[a, b]\n: c"), "key", "write key: value"),
    Mistake("duplicate-key", S, segment("title: a\n§title: b"), "duplicate-key", "keep one of them"),
    Mistake(
        "duplicate-field",
        C,
        catalogue(fields="{pid: string, tier: string, customer_id: string, §tier: integer}"),
        "duplicate-key",
        "keep one of them",
    ),
    # Syntax
    Mistake("second-colon", S, segment("title: a§: b"), "syntax", "quote the text"),
    Mistake("open-bracket", S, segment("labels: §[a"), "syntax", "add the missing , or ]"),
    Mistake("open-brace", S, segment("labels: §{a: b"), "syntax", "add the missing , or }"),
    Mistake("open-quote", S, segment("title: §'a"), "syntax", "add the missing quote"),
    Mistake("at-sign", S, segment("title: §@x"), "syntax", "quote the text"),
    Mistake("no-colon", S, segment("§title x"), "syntax", "write key: value"),
    Mistake("escape", S, segment('title: "a§\\qb"'), "syntax", "use single quotes"),
    Mistake("indentation", S, segment("title: x", "where: orders > 3\n§- a\n"), "syntax", "align it"),
    # Files
    Mistake("tab", S, segment("title:§\tx"), "tab", "indent with spaces"),
    Mistake("control-character", S, segment("title: a§\x07b"), "control-character", "remove it"),
    Mistake("list-document", X, "§- a\n- b\n", "document-form", "write apiVersion, kind and name"),
    Mistake("text-document", X, "§just a text\n", "document-form", "separate objects with ---"),
    Mistake(
        "empty-document",
        S,
        segment("title: x") + "---\n§---\n" + _head("Segment", "x1", "catalogue: customers", "where: ok"),
        "empty-document",
        "remove one of the --- lines",
    ),
    # The head
    Mistake("no-kind", S, "§name: lapsed-buyers\n", "missing-key", "add kind: one of Project, Catalogue, Segment"),
    Mistake(
        "empty-kind",
        S,
        "apiVersion: batchctl/v1\nkind:§\nname: lapsed-buyers\n",
        "no-value",
        "write one of Project, Cat",
    ),
    Mistake(
        "unknown-kind",
        S,
        "apiVersion: batchctl/v1\nkind: §segment\nname: lapsed-buyers\n",
        "unknown-kind",
        "did you mean Segment?",
    ),
    Mistake(
        "kind-of-others",
        S,
        "apiVersion: batchctl/v1\nkind: §Deployment\nname: lapsed-buyers\n",
        "unknown-kind",
        "use one of Project",
    ),
    Mistake("no-apiversion", S, "§kind: Segment\nname: lapsed-buyers\n", "missing-key", "add apiVersion: batchctl/v1"),
    Mistake(
        "apiversion",
        S,
        segment("title: x").replace("batchctl/v1", "§batchctl/v2"),
        "unknown-value",
        "write apiVersion: batchctl/v1",
    ),
    Mistake(
        "no-name",
        X,
        "§apiVersion: batchctl/v1\nkind: Segment\ncatalogue: customers\nwhere: ok\n",
        "missing-key",
        "add name: lapsed-buyers",
    ),
    Mistake(
        "name-form",
        X,
        segment("title: x").replace("name: lapsed", "name: §Lapsed B"),
        "wrong-form",
        "e.g. lapsed-b-buyers",
    ),
    Mistake(
        "name-dash",
        S,
        segment("title: x").replace("name: lapsed", "name: §-lapsed"),
        "wrong-form",
        "e.g. lapsed-buyers",
    ),
    Mistake(
        "name-length", X, segment("title: x").replace("name: ", "name: §" + "x" * 60), "wrong-size", "write at most 63"
    ),
    Mistake(
        "name-number", X, segment("title: x").replace("lapsed-buyers", "§2024"), "wrong-type", 'write "2024" in quotes'
    ),
    Mistake("unknown-key", S, segment("§titel: x"), "unknown-key", "did you mean title?"),
    Mistake("unknown-key-case", S, segment("§Title: x"), "unknown-key", "did you mean title?"),
    Mistake("unknown-key-far", S, segment("§colour: x"), "unknown-key", "use one of apiVersion, name, description"),
    Mistake(
        "unknown-nested-key", L, link("guards: {§max_removal: 20}"), "unknown-key", "did you mean max_remove_percent?"
    ),
    Mistake("label-number", S, segment("labels: {year: §2024}"), "wrong-type", 'write "2024" in quotes'),
    Mistake("labels-list", S, segment("§labels: [crm]"), "wrong-type", "e.g. labels: {team: crm}"),
    # The project
    Mistake("guard-range", P, project("guards: {max_remove_percent: §130}"), "wrong-size", "write 100 or less"),
    Mistake(
        "guard-percent-sign",
        P,
        project("guards: {max_remove_percent: §30%}"),
        "wrong-type",
        "e.g. max_remove_percent: 30",
    ),
    Mistake("negative", P, project("max_delete_audiences: §-1"), "wrong-size", "write 0 or more"),
    Mistake("fraction", P, project("max_delete_audiences: §1.5"), "wrong-type", "write digits"),
    Mistake("var-number", P, project("vars: {year: §2024}"), "wrong-type", 'write "2024" in quotes'),
    Mistake("var-name", P, project("vars: {§1st: x}"), "wrong-form", "start with a letter"),
    Mistake(
        "prefix",
        P,
        project("environments: {prod: {audience_prefix: §'a b'}}"),
        "wrong-form",
        "use letters, digits, _ and -",
    ),
    Mistake("engine", P, project("engine: §spark"), "not-supported", "write engine: duckdb"),
    Mistake("state-scheme", P, project("state: {url: §http://example.com/x}"), "not-supported", "write a folder"),
    Mistake(
        "state-reserved",
        P,
        project("environments: {prod: {}, §Targets: {}}"),
        "state-in-state",
        "name the environment otherwise, or give it a state.url",
    ),
    Mistake(
        "state-nested",
        P,
        project("state: {url: s3://crm}\nenvironments: {eu: {state: {url: §s3://crm//x/../prod/lock/eu}}, prod: {}}"),
        "state-in-state",
        "name another folder",
    ),
    Mistake(
        "state-of-project",
        P,
        project("state: {url: §./a/previous}\nenvironments: {eu: {state: {url: a}}}"),
        "state-in-state",
        "name another folder",
    ),
    Mistake("state-short", P, project("state: §.batchctl"), "wrong-type", "e.g. state: {url: .batchctl}"),
    # Catalogues
    Mistake(
        "source-short",
        C,
        catalogue(source="§data/x.parquet"),
        "wrong-type",
        "e.g. source: {path: data/customers.parquet}",
    ),
    Mistake("source-kind", C, catalogue(source="{path: §data/x.xlsx}"), "source-kind", "use one of .parquet .csv"),
    Mistake(
        "source-url",
        C,
        catalogue(source="{path: §https://example.com/x.parquet}"),
        "not-supported",
        "write a path of a local file",
    ),
    Mistake(
        "source-two",
        C,
        catalogue(source="{path: a.csv, table: §t}"),
        "source-form",
        "{database: crm.duckdb, table: customers}",
    ),
    Mistake("source-half", C, catalogue(source="{table: §t}"), "source-form", "add database: crm.duckdb"),
    Mistake("delimiter", C, catalogue(source="{path: a.csv, delimiter: §';;'}"), "wrong-size", "write at most 1"),
    Mistake(
        "delimiter-parquet", C, catalogue(source="{path: a.parquet, delimiter: §';'}"), "csv-only", "remove delimiter"
    ),
    Mistake("encoding", C, catalogue(source="{path: a.csv, encoding: §utf8}"), "unknown-value", "did you mean utf-8?"),
    Mistake(
        "type-near",
        C,
        catalogue(fields="{pid: string, customer_id: string, tier: string, n: §int}"),
        "unknown-value",
        "did you mean integer?",
    ),
    Mistake(
        "type-synonym",
        C,
        catalogue(fields="{pid: string, customer_id: string, tier: string, n: §number}"),
        "unknown-value",
        "did you mean float?",
    ),
    Mistake(
        "fields-list",
        C,
        catalogue(fields="[pid]").replace("fields:", "§fields:"),
        "wrong-type",
        "e.g. fields: {customer_id: string",
    ),
    Mistake(
        "fields-empty",
        C,
        catalogue(fields="{}").replace("fields:", "§fields:"),
        "wrong-size",
        "e.g. fields: {customer_id: string",
    ),
    Mistake(
        "field-name",
        C,
        catalogue(fields="{pid: string, customer_id: string, tier: string, '#n': §string}"),
        "field-name",
        "rename the column",
    ),
    Mistake("key-unknown", C, catalogue(key="§id"), "unknown-field", "did you mean pid?"),
    Mistake("key-type", C, catalogue(key="§ok"), "field-type", "declare ok: string"),
    Mistake("consent-unknown", C, catalogue("consent: §okk"), "unknown-field", "did you mean ok?"),
    Mistake("consent-type", C, catalogue("consent: §orders"), "field-type", "declare orders: boolean"),
    Mistake("duration", C, catalogue("freshness: §36 hours"), "duration", "36h"),
    Mistake("duration-number", C, catalogue("freshness: §36"), "duration", "a whole number and a unit"),
    Mistake(
        "freshness-field",
        C,
        catalogue("freshness: {max_age: 36h, field: §orders}"),
        "field-type",
        "declare orders: date",
    ),
    Mistake("suppress-key", C, catalogue("§suppress: {path: a.csv}"), "missing-key", "add key: customer_id"),
    Mistake(
        "graph-fields", C, catalogue("§" + _GRAPH + "}").replace(", }", "}"), "missing-key", "add fields: {gaid: string"
    ),
    # Segments
    Mistake("no-sql", S, "§" + segment("title: x", ""), "segment-form", "add where: with one SQL expression"),
    Mistake("two-sql", S, segment("query: §SELECT 1"), "segment-form", "keep one of them"),
    Mistake("empty-sql", S, segment("title: x", "where: §'  '\n"), "wrong-size", "write a condition, e.g. where:"),
    Mistake("activation", S, segment("activation: §parallel"), "unknown-value", "use one of single, serial"),
    Mistake("segment-id", S, segment("id: §-1"), "wrong-size", "write 0 or more"),
    Mistake(
        "dangling-catalogue",
        S,
        segment("title: x").replace("customers", "§customer"),
        "dangling",
        "did you mean customers?",
    ),
    # Interpolation
    Mistake("unknown-variable", S, segment("title: §${var:regoin}"), "unknown-variable", "did you mean ${var:region}?"),
    Mistake("new-variable", S, segment("title: §${var:zone}"), "unknown-variable", "--var zone="),
    Mistake("env-outside-keys", S, segment("title: §${env:HOME}"), "reference-place", "use ${var:NAME}"),
    Mistake(
        "file-outside-keys",
        L,
        link("audience: {display_name: §'${file:/etc/passwd}'}"),
        "reference-place",
        "use ${var:NAME}",
    ),
    Mistake("nested", S, segment("title: §${var:${var:region}}"), "interpolation", "references are not nested"),
    Mistake("no-kind-of-reference", S, segment("title: §${region}"), "interpolation", "write ${var:NAME}"),
    Mistake("open-reference", S, segment("title: §${var:region"), "interpolation", "write ${var:NAME}"),
    Mistake(
        "sql-interpolation",
        S,
        segment("title: x", "where: §region = '${var:region}'\n"),
        "interpolation",
        "write the value itself",
    ),
    Mistake("key-interpolation", S, segment("labels: {§'${var:region}': a}"), "interpolation", "write the key out"),
    # Mappings
    Mistake("no-identifier", M, "§" + mapping(""), "missing-key", "add identifier: {advertising_id: [gaid, idfa]}"),
    Mistake(
        "identifier-short", M, mapping("identifier: §customer_id"), "wrong-type", "e.g. identifier: {advertising_id"
    ),
    Mistake(
        "identifier-name",
        M,
        mapping("identifier: {§customer_id: customer_id}"),
        "unknown-key",
        "did you mean custom_id?",
    ),
    Mistake(
        "identifier-two",
        M,
        mapping("identifier: {custom_id: customer_id, email: §email}"),
        "identifier-kind",
        "keep one",
    ),
    Mistake("identifier-none", M, mapping("§identifier: {}"), "identifier-kind", "e.g. custom_id: customer_id"),
    Mistake(
        "identifier-twice",
        M,
        mapping("identifier: {§custom_id: [customer_id, customer_id]}"),
        "identifier-twice",
        "list each field once",
    ),
    Mistake(
        "identifier-field",
        M,
        mapping("identifier: {custom_id: §custmer_id}"),
        "unknown-field",
        "did you mean customer_id?",
    ),
    Mistake(
        "identifier-type", M, mapping("identifier: {custom_id: §orders}"), "identifier-type", "declare orders: string"
    ),
    Mistake(
        "graph-only",
        M,
        mapping("identifier: {custom_id: §idfa}"),
        "graph-only",
        "write id_extension: true in action/ios-ids",
    ),
    Mistake(
        "attribute-name", R, profile("{§Tier: tier}"), "wrong-form", "lower-case letters, digits and _, at most 30"
    ),
    Mistake("attribute-length", R, profile("{§" + "a" * 31 + ": tier}"), "wrong-form", "at most 30"),
    Mistake("attribute-native", R, profile("{§$colour: tier}"), "wrong-form", "a native name such as $language"),
    Mistake("attribute-field", R, profile("{tier: §teir}"), "unknown-field", "did you mean tier?"),
    Mistake("attribute-list", R, profile("{§tier: [tier]}"), "wrong-type", "in braces"),
    Mistake("attribute-undeclared", R, profile("{colour: §tier}"), "undeclared", "add colour: string"),
    Mistake("attribute-type", R, profile("{tier: §orders}"), "type-conflict", "type: string"),
    Mistake("attribute-native-type", R, profile("{$language: §orders}"), "type-conflict", "type: string"),
    Mistake(
        "tags-short",
        M,
        mapping("identifier: {custom_id: customer_id}\ntags: §interests"),
        "wrong-type",
        "e.g. tags: {field: interests}",
    ),
    Mistake("transform", R, profile("{tier: {field: tier, transform: §lowr}}"), "transform", "did you mean lower?"),
    Mistake(
        "transform-arguments",
        R,
        profile("{tier: {field: tier, transform: [trim, §replace(a)]}}"),
        "transform",
        'write replace(" ", "_")',
    ),
    Mistake(
        "transform-list", R, profile("{tier: {field: interests, transform: §lower}}"), "field-type", "remove transform"
    ),
    # Actions
    Mistake(
        "action-type",
        A,
        action("destination: shop-ios\ntype: §send_custom_id\nmapping: ids"),
        "unknown-value",
        "did you mean send_custom_ids?",
    ),
    Mistake(
        "matrix-mep",
        A,
        action("destination: shop-ios\ntype: §send_emails\nmapping: ids"),
        "matrix",
        "use a destination with platform: cep",
    ),
    Mistake(
        "matrix-cep",
        A,
        action("destination: crm\ntype: §send_advertising_ids\nmapping: ids"),
        "matrix",
        "use a destination with platform: mep",
    ),
    Mistake(
        "identifier-kind",
        A,
        action("destination: shop-ios\ntype: send_install_ids\nmapping: §ids"),
        "identifier-kind",
        "name a mapping with install_id",
    ),
    Mistake(
        "dangling-destination",
        A,
        action("destination: §shop-io\ntype: send_custom_ids\nmapping: ids"),
        "dangling",
        "did you mean shop-ios?",
    ),
    Mistake(
        "reference-form",
        A,
        action("destination: §shop_ios\ntype: send_custom_ids\nmapping: ids"),
        "wrong-form",
        "e.g. shop-ios",
    ),
    Mistake("on-exit", A, action(f"{_IDS}\non_exit: §unset"), "on-exit", "remove on_exit"),
    Mistake(
        "nothing-to-send",
        A,
        action("destination: shop-ios\ntype: send_attributes\nmapping: §ids"),
        "no-attributes",
        "add attributes: to mapping/ids",
    ),
    # Links
    Mistake(
        "dangling-segment",
        L,
        link("").replace("lapsed-buyers", "§lapsed-buyer"),
        "dangling",
        "did you mean lapsed-buyers?",
    ),
    Mistake(
        "no-action", L, "§" + link("").replace("action: ios-ids", ""), "missing-key", "add action: ios-advertising-ids"
    ),
    Mistake("audience-short", L, link("audience: §lapsed"), "wrong-type", "e.g. audience: {name: lapsed_buyers_ios"),
    Mistake(
        "audience-name",
        L,
        link("audience: {name: §lapsed buyers}"),
        "wrong-form",
        "use letters, digits, _ and -, at most 255",
    ),
    Mistake("audience-length", L, link("audience: {name: §" + "a" * 256 + "}"), "wrong-size", "write at most 255"),
    Mistake(
        "audience-of-profiles",
        L,
        link("§audience: {name: a}").replace("ios-ids", "crm-profile"),
        "audience-block",
        "remove audience",
    ),
    Mistake("allow-until", L, link("§allow: {remove_percent: 50, reason: x}"), "missing-key", "add until: 2026-12-01"),
    Mistake(
        "allow-reason",
        L,
        link("§allow: {remove_percent: 50, until: 2026-12-01}"),
        "missing-key",
        "add reason: spring clean-up",
    ),
    Mistake(
        "allow-nothing",
        L,
        link("§allow: {until: 2026-12-01, reason: x}"),
        "allow",
        "add remove_percent, add_percent or recreate: true",
    ),
    Mistake(
        "allow-date",
        L,
        link("allow: {remove_percent: 50, until: §01/12/2026, reason: x}"),
        "date",
        "write it as 2026-12-01",
    ),
    Mistake(
        "allow-impossible-date",
        L,
        link("allow: {remove_percent: 50, until: §2026-13-01, reason: x}"),
        "date",
        "2026-12-01",
    ),
    Mistake("refresh-short", L, link("refresh: §1d"), "wrong-type", "e.g. refresh: {every: 1d"),
    Mistake("refresh-every", L, link("refresh: {every: §3h}"), "unknown-value", "use one of once, 1h, 2h, 4h"),
    Mistake("refresh-weekday", L, link("refresh: {every: 1w, on: [§monday]}"), "unknown-value", "did you mean mon?"),
    Mistake("refresh-weekday-short", L, link("refresh: {every: 1w, on: §mon}"), "wrong-type", "write [mon]"),
    Mistake("refresh-on", L, link("refresh: {every: 1d, §on: [mon]}"), "refresh", "write every: 1w"),
    Mistake("refresh-day", L, link("refresh: {every: 1mo, day: §31}"), "wrong-size", "write 28 or less"),
    Mistake("refresh-day-of-week", L, link("refresh: {every: 1w, day: §1}"), "refresh", "write every: 1mo"),
    Mistake("refresh-zone", L, link("refresh: {every: 1d, timezone: §Paris}"), "time-zone", "Europe/Paris"),
    Mistake("refresh-time", L, link("refresh: {every: 1d, at: §'25:00'}"), "wrong-form", 'write it as "06:00"'),
    Mistake(
        "refresh-end",
        L,
        link("refresh: {every: 1d, start: 2026-02-01, end: §2026-01-01}"),
        "refresh",
        "on or after the start",
    ),
    Mistake(
        "on-destroy", L, link("lifecycle: {on_destroy: §remove}"), "unknown-value", "use one of delete, empty, keep"
    ),
    Mistake("prevent-destroy", L, link("lifecycle: {prevent_destroy: §1}"), "wrong-type", "write true or false"),
    Mistake("full-refresh", L, link("full_refresh_every: §90 days"), "duration", "90d"),
    Mistake("full-refresh-long", L, link("full_refresh_every: §99999999d"), "duration", "at most 36500d"),
    Mistake("moved-from-form", L, link("moved_from: §old-name"), "wrong-form", "write segment-link/<old name>"),
    Mistake(
        "moved-from-itself", L, link("moved_from: §segment-link/lapsed-ios"), "moved-from", "write the former name"
    ),
    Mistake("moved-from-alive", L, link("moved_from: §segment-link/everybody-crm"), "moved-from", "remove moved_from"),
    # Destinations
    Mistake("platform", D, destination("").replace("mep", "§ios"), "unknown-value", "use one of mep, cep"),
    Mistake("platform-key", D, destination("project_key: §${env:A}"), "platform-field", "remove project_key"),
    Mistake(
        "no-rest-key",
        D,
        "§" + destination("", "live_api_key: ${env:A}\n"),
        "missing-key",
        "add rest_api_key: ${env:BATCH_REST_API_KEY}",
    ),
    Mistake(
        "no-account-key",
        D,
        destination("", "rest_api_key: ${env:B}\n").replace("mep", "§mep"),
        "missing-key",
        "add live_api_key: ${env:NAME}",
    ),
    Mistake("version-of-mep", D, destination("api_version: §'2.11'"), "platform-field", "remove api_version"),
    Mistake(
        "version-unquoted",
        E,
        cep("api_version: §2.11\nattributes: {tier: string}"),
        "wrong-type",
        'api_version: "2.11"',
    ),
    Mistake("version-form", E, cep("api_version: §v2\nattributes: {tier: string}"), "wrong-form", 'write it as "2.11"'),
    Mistake("key-spelling", D, destination("§live-api-key: ${env:A}"), "unknown-key", "did you mean live_api_key?"),
    Mistake(
        "http", D, destination("api_url: §http://batch.example.com/"), "api-url", "the default is https://api.batch.com"
    ),
    Mistake(
        "other-host",
        D,
        destination("api_url: §https://batch.example.com/"),
        "api-url",
        "list the host in the environment variable BATCHCTL_ALLOWED_HOSTS",
    ),
    Mistake("password", D, destination("api_url: §https://a:b@api.batch.com/"), "api-url", "remove api_url"),
    Mistake(
        "file-elsewhere",
        D,
        destination("", "live_api_key: §${file:/etc/passwd}\nrest_api_key: ${env:B}\n"),
        "key-reference",
        "move the file",
    ),
    Mistake("rate", D, destination("rate_limits: {requests_per_second: §0}"), "wrong-size", "write more than 0"),
    Mistake(
        "rate-name",
        D,
        destination("rate_limits: {§requests_per_minute: 5}"),
        "unknown-key",
        "did you mean requests_per_second?",
    ),
    Mistake("deadline", D, destination("retry: {deadline: §15min}"), "duration", "15m"),
    Mistake("attempts", D, destination("retry: {attempts: §0}"), "wrong-size", "write 1 or more"),
    Mistake(
        "declared-name",
        D,
        destination("attributes: {§Tier: string}"),
        "wrong-form",
        "lower-case letters, digits and _, at most 30",
    ),
    Mistake(
        "declared-native",
        D,
        destination("attributes: {§$language: string}"),
        "wrong-form",
        "native attributes need no declaration",
    ),
    Mistake("declared-type", D, destination("attributes: {tier: §text}"), "unknown-value", "use one of string"),
    Mistake(
        "declared-many",
        D,
        destination("§attributes: {" + ", ".join(f"a{n}: string" for n in range(51)) + "}"),
        "wrong-size",
        "write at most 50",
    ),
)
