"""SegmentLink: the activation of a segment by an action, with its audience, schedule, guards and life cycle."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from reconciler.spec.common import Day, Document, Duration, Fault, Model, Name, Percent, refuse

Every = Literal["once", "1h", "2h", "4h", "6h", "12h", "1d", "2d", "3d", "5d", "7d", "1w", "2w", "3w", "4w", "1mo"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Audience(Model):
    """The audience in Batch."""

    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Name of the audience in Batch: letters, digits, `_` and `-`, at most 255 with the environment's "
        "prefix. Default: title, id of the segment and kind of identifier, e.g. `Lapsed_buyers_1562_install_ids`.",
        examples=["lapsed_buyers_ios"],
    )
    display_name: str | None = Field(
        default=None,
        min_length=1,
        max_length=255,
        description="Name for people in Batch's dashboard. Default: the title of the segment.",
        examples=["Lapsed buyers (iOS)"],
    )
    adopt: bool = Field(
        default=False,
        description="`true`: an audience of this name that already exists is taken over. Default `false`: it is "
        "refused.",
        examples=[False],
    )


class Refresh(Model):
    """When the link is due for `apply --due`; without `--due` schedules do not count, except a `once` already done."""

    every: Every = Field(
        description="How often: `once`, hours (1h 2h 4h 6h 12h), days (1d 2d 3d 5d 7d), weeks (1w 2w 3w 4w) or `1mo`.",
        examples=["1d"],
    )
    at: str | None = Field(
        default=None,
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description='Time of day, "HH:MM", quoted. Default: any time.',
        examples=["06:00"],
    )
    on: Annotated[tuple[Weekday, ...], Field(strict=False)] | None = Field(
        default=None,
        min_length=1,
        description="Weekdays, with a weekly refresh only: mon tue wed thu fri sat sun.",
        examples=[["mon", "thu"]],
    )
    day: int | None = Field(
        default=None, ge=1, le=28, description="Day of the month, 1 to 28, with `1mo` only.", examples=[1]
    )
    start: Day | None = Field(default=None, description="First day on which the link is due.", examples=["2026-01-01"])
    end: Day | None = Field(default=None, description="Last day on which the link is due.", examples=["2026-12-31"])
    timezone: str = Field(
        default="UTC",
        pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        max_length=64,
        description="IANA time zone of `at`, `start` and `end`. Default `UTC`.",
        examples=["Europe/Paris"],
    )

    @model_validator(mode="after")
    def _fits(self) -> Refresh:
        found = []
        if self.on is not None and not self.every.endswith("w"):
            found.append(
                Fault(("on",), "refresh", f"on does not go with every: {self.every}", "write every: 1w, or remove on")
            )
        if self.on is not None and len(set(self.on)) < len(self.on):
            found.append(Fault(("on",), "refresh", "a weekday is listed twice", "list each weekday once"))
        if self.day is not None and self.every != "1mo":
            found.append(
                Fault(
                    ("day",), "refresh", f"day does not go with every: {self.every}", "write every: 1mo, or remove day"
                )
            )
        if self.start is not None and self.end is not None and self.end < self.start:
            found.append(
                Fault(("end",), "refresh", "the end is before the start", "write an end on or after the start")
            )
        refuse(*found)
        return self


class LinkGuards(Model):
    """Limits of this link; what is left out comes from the project."""

    max_remove_percent: Percent | None = Field(
        default=None,
        le=100,
        description="Most members that may leave in one run, in percent. Default: the project's.",
        examples=[10],
    )
    max_add_percent: Percent | None = Field(
        default=None,
        description="Most members that may join in one run, in percent. Default: the project's.",
        examples=[300],
    )
    min_existing: int | None = Field(
        default=None,
        ge=0,
        description="Below this many members percentages do not count. Default: the project's.",
        examples=[10],
    )


class Allow(Model):
    """A reviewed override of guards, for a time."""

    remove_percent: Percent | None = Field(
        default=None, le=100, description="Percent of members that may leave meanwhile.", examples=[50]
    )
    add_percent: Percent | None = Field(
        default=None, description="Percent of members that may join meanwhile.", examples=[500]
    )
    recreate: bool = Field(
        default=False,
        description="`true`: the audience may be deleted and created again when its content is not known (MEP 1.0). "
        "Default `false`.",
        examples=[False],
    )
    until: Day = Field(
        description="Last day of the override. Afterwards it counts as absent, with a warning.", examples=["2026-12-01"]
    )
    reason: str = Field(
        min_length=1, max_length=500, description="Why, for the reviewer and the record.", examples=["spring clean-up"]
    )

    @model_validator(mode="after")
    def _something(self) -> Allow:
        if self.remove_percent is None and self.add_percent is None and not self.recreate:
            refuse(Fault((), "allow", "allow allows nothing", "add remove_percent, add_percent or recreate: true"))
        return self


class Lifecycle(Model):
    """What happens to the audience when the link goes away."""

    prevent_destroy: bool = Field(
        default=False,
        description="`true`: the audience is never deleted, even when this document is. Kept in state too. Default "
        "`false`.",
        examples=[False],
    )
    on_destroy: Literal["delete", "empty", "keep"] = Field(
        default="delete",
        description="When the link is gone: `delete` (default) the audience, `empty` it, or `keep` it as it is.",
        examples=["delete"],
    )


class SegmentLink(Document):
    """The activation: these people, by that action."""

    kind: Literal["SegmentLink"] = Field(description="This document is a segment link: the activation.")
    segment: Name = Field(description="Name of the segment: who.", examples=["lapsed-buyers"])
    action: Name = Field(
        description="Name of the action: what happens with them, and where.", examples=["ios-advertising-ids"]
    )
    audience: Audience | None = Field(
        default=None,
        description="The audience in Batch; not for `send_attributes`. Default: named after the segment.",
        examples=[{"name": "lapsed_buyers_ios", "display_name": "Lapsed buyers (iOS)"}],
    )
    refresh: Refresh | None = Field(
        default=None,
        description="When the link is due, for `apply --due`. Default: at every run.",
        examples=[{"every": "1d", "at": "06:00", "timezone": "Europe/Paris"}],
    )
    full_refresh_every: Duration | None = Field(
        default=None,
        description="Life span of what Batch was told: after it everybody is sent again. Default: never.",
        examples=["90d"],
    )
    guards: LinkGuards | None = Field(
        default=None,
        description="Guards of this link; what is left out comes from the project.",
        examples=[{"max_remove_percent": 10}],
    )
    allow: Allow | None = Field(
        default=None,
        description="A reviewed override of guards, for a time and with a reason.",
        examples=[{"remove_percent": 50, "until": "2026-12-01", "reason": "spring clean-up"}],
    )
    lifecycle: Lifecycle = Field(
        default_factory=Lifecycle,
        description="What happens to the audience when the link goes away.",
        examples=[{"prevent_destroy": False, "on_destroy": "delete"}],
    )
    moved_from: str | None = Field(
        default=None,
        pattern=r"^segment-link/[a-z0-9][a-z0-9-]*$",
        max_length=80,
        description="Former address of this link, after a rename: nothing is sent, nothing is deleted.",
        examples=["segment-link/old-name"],
    )
