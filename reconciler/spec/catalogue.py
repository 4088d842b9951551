"""Catalogue: where people come from, with logical types, consent, suppression, freshness and the identity graph."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reconciler.spec.common import Document, Duration, Fault, FieldName, FieldType, Model, refuse
from reconciler.spec.project import Engine, engine_faults

SUFFIXES = (".parquet", ".csv", ".jsonl", ".ndjson")
_ONE_OF = (
    "write {path: data/people.parquet}, {database: crm.duckdb, table: customers} or {database: …, query: SELECT …}"
)


class Source(Model):
    """Rows: files (`path`), a table of a database (`database`, `table`) or a query on one (`database`, `query`)."""

    path: str | None = Field(
        default=None,
        min_length=1,
        description="Files to read, relative to the project folder: `.parquet`, `.csv`, `.jsonl` or `.ndjson`. A glob "
        "(`*`, `?`, `[…]`) reads all matches of one kind as one table.",
        examples=["data/customers/*.parquet"],
    )
    database: str | None = Field(
        default=None,
        min_length=1,
        description="DuckDB database file, relative to the project folder; opened read-only. Needs `table` or `query`.",
        examples=["crm.duckdb"],
    )
    table: str | None = Field(
        default=None,
        min_length=1,
        description="Table of `database`, with its schema if it is not the main one.",
        examples=["crm.customers"],
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        description="One SELECT run on `database`. SQL is never interpolated.",
        examples=["SELECT * FROM crm.customers WHERE country = 'FR'"],
        json_schema_extra={"sql": True},
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="CSV only: the character between columns. Default: found in the header line.",
        examples=[";"],
    )
    encoding: Literal["utf-8", "latin-1"] | None = Field(
        default=None,
        description="CSV only: encoding of the text, `utf-8` or `latin-1`. Default: found in the file, which is "
        "Latin-1 only where it is not valid UTF-8 and holds no character of UTF-8 beyond ASCII.",
        examples=["utf-8"],
    )

    @model_validator(mode="after")
    def _one_form(self) -> Source:
        refuse(*self._faults())
        return self

    def _faults(self) -> list[Fault]:
        rows = [name for name in ("path", "table", "query") if getattr(self, name) is not None]
        if len(rows) != 1:
            what = "the source says " + (
                " and ".join(rows) + ", one is needed" if rows else "nothing about where rows are"
            )
            return [Fault((rows[1],) if rows else (), "source-form", what, _ONE_OF)]
        if (self.database is None) == (rows != ["path"]):
            what = "database does not go with path" if self.database else f"{rows[0]} needs a database"
            fix = "remove database, or write table: instead of path:" if self.database else "add database: crm.duckdb"
            return [Fault(("database",) if self.database else (rows[0],), "source-form", what, fix)]
        return [*self._path_faults(), *self._csv_faults()]

    def _path_faults(self) -> list[Fault]:
        path = self.path or self.database or ""
        if "://" in path:
            at = "path" if self.path else "database"
            fix = "write a path of a local file, relative to the project folder"
            return [Fault((at,), "not-supported", "sources at a URL are not supported in this version", fix)]
        if self.path and not self.path.lower().endswith(SUFFIXES):
            return [
                Fault(("path",), "source-kind", "files of this kind are not read", f"use one of {' '.join(SUFFIXES)}")
            ]
        return []

    def _csv_faults(self) -> list[Fault]:
        if self.path and self.path.lower().endswith(".csv"):
            return []
        given = [name for name in ("delimiter", "encoding") if getattr(self, name) is not None]
        return [Fault((name,), "csv-only", f"{name} is for .csv files only", f"remove {name}") for name in given]


class Suppress(Source):
    """A list of people who never receive anything."""

    key: FieldName = Field(
        description="Column of the list that holds the catalogue's key; read with the type of that key.",
        examples=["customer_id"],
    )


class Freshness(Model):
    """How old the data may be."""

    max_age: Duration = Field(
        description="Oldest data accepted: a whole number and `m`, `h`, `d` or `w`. Older data is refused, nothing is "
        "sent.",
        examples=["36h"],
    )
    field: FieldName | None = Field(
        default=None,
        description="Date or timestamp field whose newest value says how old the data is. Default: the modification "
        "time of the newest file.",
        examples=["updated_at"],
    )


class IdentityGraph(Model):
    """All identifiers of a person: one row per person and device."""

    source: Source = Field(description="Where the graph's rows are.", examples=[{"path": "data/devices.parquet"}])
    key: FieldName = Field(description="Column of the graph that holds the catalogue's key.", examples=["customer_id"])
    fields: dict[FieldName, FieldType] = Field(
        min_length=1,
        description="Columns of the graph that mappings may use, with their logical types. A field that only the graph "
        "has needs `id_extension: true` on the action.",
        examples=[{"gaid": "string", "idfa": "string"}],
    )


def _age(value: object) -> object:
    return value if isinstance(value, dict | Freshness) else {"max_age": value}


class Catalogue(Document):
    """Where people come from: one row per person, typed fields, consent and suppression."""

    kind: Literal["Catalogue"] = Field(description="This document is a catalogue: where people come from.")
    source: Source = Field(
        description="Where the rows are: `path`, or `database` with `table` or `query`.",
        examples=[{"path": "data/customers.parquet"}],
    )
    engine: Engine | None = Field(
        default=None, description="Engine that reads the catalogue: `duckdb`, the default.", examples=["duckdb"]
    )
    key: FieldName = Field(
        description="Field that identifies a person; one row per person. A key that occurs twice is a reject.",
        examples=["customer_id"],
    )
    fields: dict[FieldName, FieldType] = Field(
        min_length=1,
        description="Columns that mappings and segments may use, with logical types: string, integer, float, boolean, "
        "date, timestamp, url or list<string>.",
        examples=[{"customer_id": "string", "email": "string", "last_order_at": "timestamp"}],
    )
    consent: FieldName | None = Field(
        default=None,
        description="Boolean field; only people for whom it is true are ever sent. Null is no consent. "
        "Default: everybody.",
        examples=["marketing_consent"],
    )
    suppress: Suppress | None = Field(
        default=None,
        description="A list of people who are never sent, whatever their row says.",
        examples=[{"path": "data/suppressed.csv", "key": "customer_id"}],
    )
    freshness: Annotated[Freshness, BeforeValidator(_age)] | None = Field(
        default=None,
        description="Oldest data accepted, by file modification time (`36h`) or by a field "
        "(`{max_age: 36h, field: updated_at}`). Older data is refused. Default: any age.",
        examples=["36h", {"max_age": "36h", "field": "updated_at"}],
        json_schema_extra={"short_form": "max_age"},
    )
    max_reject_percent: float = Field(
        default=1,
        ge=0,
        le=100,
        allow_inf_nan=False,
        description="Most rows, in percent, that may be rejected (malformed identifiers, values not of their type) "
        "before the audience is refused. Default 1.",
        examples=[1],
    )
    identity_graph: IdentityGraph | None = Field(
        default=None,
        description="All identifiers of a person, used by actions with `id_extension: true`.",
        examples=[
            {
                "source": {"path": "data/devices.parquet"},
                "key": "customer_id",
                "fields": {"gaid": "string", "idfa": "string"},
            }
        ],
    )

    @model_validator(mode="after")
    def _supported(self) -> Catalogue:
        refuse(*engine_faults(self.engine))
        return self
