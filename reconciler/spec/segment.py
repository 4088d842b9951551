"""Segment: who, as one SQL expression over a catalogue's fields or one SELECT of its key."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reconciler.spec.common import Document, Fault, Name, refuse


class Segment(Document):
    """Who: the people of a catalogue that one SQL expression, or one SELECT, picks."""

    kind: Literal["Segment"] = Field(description="This document is a segment: who.")
    title: str = Field(
        default="",
        max_length=255,
        description="Title for people; feeds the default audience name. Default: the name.",
        examples=["Lapsed buyers"],
    )
    id: int | None = Field(
        default=None,
        ge=0,
        description="Number appended to the default audience name, as in the CDP's own naming rule. Default: none.",
        examples=[1562],
    )
    catalogue: Name = Field(description="Name of the catalogue the people come from.", examples=["customers"])
    where: str | None = Field(
        default=None,
        min_length=1,
        description="One SQL expression over the catalogue's fields; people for whom it is true are in the segment. "
        "`now()` is fixed per run, in UTC. SQL is never interpolated. Either this or `query`.",
        examples=["last_order_at < TIMESTAMP '2026-01-01' AND loyalty_tier <> 'churned'"],
        json_schema_extra={"sql": True},
    )
    query: str | None = Field(
        default=None,
        min_length=1,
        description="One SELECT that returns the catalogue's key. The catalogue is a table named after it (dashes "
        "become underscores), its identity graph `<name>_identities`. SQL is never interpolated. Either this "
        "or `where`.",
        examples=["SELECT customer_id FROM customers WHERE orders > 3"],
        json_schema_extra={"sql": True},
    )
    activation: Literal["single", "serial"] = Field(
        default="single",
        description="`single` (default): the segment may be linked to one destination. `serial`: to several, activated "
        "strictly one after another, each only after Batch reports the one before as indexed.",
        examples=["single"],
    )

    @model_validator(mode="after")
    def _one_form(self) -> Segment:
        if self.where is not None and self.query is not None:
            refuse(Fault(("query",), "segment-form", "where and query exclude each other", "keep one of them"))
        if self.where is None and self.query is None:
            fix = "add where: with one SQL expression, or query: with one SELECT of the key"
            refuse(Fault((), "segment-form", "the segment does not say who", fix))
        return self
