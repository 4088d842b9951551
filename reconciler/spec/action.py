"""Action: what a destination does with mapped people."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from reconciler.spec.common import Document, Fault, Name, refuse

ActionType = Literal["send_advertising_ids", "send_install_ids", "send_custom_ids", "send_emails", "send_attributes"]
ACTION_TYPES: tuple[ActionType, ...] = (
    "send_advertising_ids",
    "send_install_ids",
    "send_custom_ids",
    "send_emails",
    "send_attributes",
)


class Action(Document):
    """What the destination does with mapped people: fills an audience of IDs, or sets attributes of profiles."""

    kind: Literal["Action"] = Field(description="This document is an action: what the destination does with people.")
    destination: Name = Field(description="Name of the destination that receives the people.", examples=["shop-ios"])
    type: ActionType = Field(
        description="`send_advertising_ids` (MEP), `send_install_ids` and `send_custom_ids` (MEP, CEP), `send_emails` "
        "(CEP): members of an audience. `send_attributes` (MEP, CEP): attributes of profiles, by custom ID.",
        examples=["send_custom_ids"],
    )
    mapping: Name = Field(description="Name of the mapping: which fields are sent.", examples=["devices"])
    id_extension: bool = Field(
        default=False,
        description="`true`: the row's own identifiers and all those of the person in the catalogue's identity graph. "
        "Default `false`: only those on the row.",
        examples=[False],
    )
    delta_upload: bool = Field(
        default=True,
        description="`true` (default): only differences are sent. `false`: everybody again at every due refresh.",
        examples=[True],
    )
    delete: bool = Field(
        default=True,
        description="`true` (default): people who leave the segment are removed. `false`: additive, nobody is removed "
        "except for consent and suppression.",
        examples=[True],
    )
    on_exit: Literal["keep", "unset"] = Field(
        default="keep",
        description="`send_attributes` only: what happens to the attributes of people who left. `keep` (default) or "
        "`unset`.",
        examples=["keep"],
    )

    @model_validator(mode="after")
    def _exit(self) -> Action:
        if self.type != "send_attributes" and "on_exit" in self.model_fields_set:
            what = f"on_exit does not go with {self.type}"
            refuse(
                Fault(("on_exit",), "on-exit", what, "remove on_exit; members who leave are removed by delete: true")
            )
        if self.on_exit == "unset" and not self.delete:
            why = "delete: false says that nothing is taken back from people who left"
            refuse(
                Fault(("on_exit",), "on-exit", "on_exit: unset contradicts delete: false", "remove one of them", why)
            )
        return self
