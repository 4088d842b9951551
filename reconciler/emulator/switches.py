"""The open questions of Batch's public documentation as switches: allowed values, defaults, the preset `harsh`.

Each switch picks one reading of a behaviour that https://doc.batch.com/ does not settle.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

PRESETS = ("likely", "harsh")

# One line per switch: number of the question, name, values. `*` = default (preset likely), `!` = preset harsh.
_TABLE = """
U1 cep_error_code_form name* numeric_text number!
U2 mep_error_envelope code_type_message* code_message cep_style plain_text!
U3 mep_server_error_number 1* 0!
U4 retry_after absent* seconds http_date!
U5 mep_bad_app_key_status 401* 403 404!
U5 cep_missing_project_status 401* 400!
U6 cep_default_rate none one_per_second*
U6 mep_default_rate none* one_per_second!
U6 rate_scope project* company!
U7 max_body_bytes 0* 1048576!
U8 unknown_fields ignore* reject!
U9 drop_response_after_write never* first_write_of_each_route!
U10 duplicate_create reject_400* reject_409 accept_noop accept_update_text accept_reset!
U11 type_mismatch reject_400* ignore!
U12 mep_create_success 200_empty_object* 200_no_body 202_token!
U13 mep_write_success 202_token* 200_token 202_no_token!
U14 update_unknown_audience reject_404* reject_400 accept_ignored create_implicitly!
U15 replace_unknown_audience reject_404* reject_400 accept_ignored create_implicitly!
U16 remove_unknown_audience reject_404* reject_400! accept_noop
U17 mep_view_unknown 404* 400 200_empty!
U17 cep_not_found_code ROUTE_NOT_FOUND* TARGET_NOT_FOUND AUDIENCE_NOT_FOUND!
U18 create_visibility immediate* after_indexing!
U19 remove_visibility immediate* after_indexing! list_lags
U20 recreate_after_remove fresh_empty* reject_until_indexed! resurrect_members
U21 mep10_put route_not_found* supported
U22 mep_name_space shared* per_version!
U23 mep11_create_type required* optional any_type
U23 mep11_write_type ignored* rejected!
U24 cep_email_type emails* not_supported
U24 cep_install_type install_ids* installation_ids not_supported
U24 cep_response_type_form upper_singular* request_value!
U25 absent_text_field omitted* null! empty
U26 cep_list_order created_desc* name_asc unstable!
U26 last_page_cursor absent* null stale_text!
U26 mep_list_total absent* count
U27 nb_ids_timing on_applied* on_accept after_applied!
U28 max_audiences 0* 2
U28 max_audience_ids 0* 25000
U29 empty_update reject_400* accept
U30 empty_replace reject_400* accept_clear accept_ignored!
U31 over_limit_ids reject_400* reject_413 truncate!
U32 bad_item reject_call* drop_silently! accept
U33 remove_absent_member noop* reject_call!
U34 readd_attributes replace* merge!
U34 readd_without_attributes clear* keep!
U35 attributes_after_removal forgotten* restored
U36 id_normalisation none* trim lowercase_emails trim_lowercase!
U37 max_id_length 0 1024* 512
U38 mep_duplicate_in_call last_wins* first_wins reject_call!
U39 write_ordering in_order* any_order!
U40 replace_sequence each_wipes* append_while_indexing!
U41 unknown_token not_found_404* bad_request_400 last_state!
U42 token_ttl_seconds 0* 60!
U43 indexing_outcome applied* applied_slowly! stuck silently_lost
U44 cep_replaced_state older_tokens* in_progress_only
U44 mep_replaced_state never* older_tokens!
U45 audience_attribute_violation reject_call* drop_item drop_attribute!
U46 mep11_limits 15_30_64_10* 20_30_64_10 none
U47 audience_boolean accept reject_call* drop_attribute!
U48 audience_null reject_call* ignore! delete_key
U49 empty_values reject* accept
U50 uppercase_key reject* lowercase keep!
U51 date_forms canonical_only* lenient
U71 length_unit characters* utf16 utf8_bytes!
U72 tag_case keep* lowercase!
U52 profile_bad_identifier drop_reported* reject_call! drop_silently
U52 profile_bad_attribute drop_reported* reject_call!
U53 profile_duplicate_in_call in_order* last_wins reject_call!
U54 type_flip new_type_wins* drop_reported drop_silently!
U55 profile_attribute_quota per_operation* per_profile!
U56 undeclared_attribute create_hidden* reject
U57 number_range int64_and_double* double_only!
U58 custom_data_success 200_token* 201_token 202_token 200_empty!
U59 custom_data_unknown_user accept_ignored* store_for_later reject_call
U60 custom_data_bad_row reject_call* drop_silently!
U61 custom_data_overwrite_default false* true!
U62 custom_data_null delete_key* reject_call! ignore
U63 custom_data_tag_edit add_and_remove add_only* none!
U64 custom_data_empty_tags reject_call* clear
U65 custom_data_url_key accept reject_call*
U66 path_id_decoding percent_decode* literal! reject_slash
U67 custom_data_delete_unknown accept* reject_404!
U68 list_array_key plural_of_resource* data! items
U69 export_segment_rate none five_per_hour*
U69 export_download redirect_307* body_200!
U69 export_unknown_id 404* 400!
U70 export_file_form ndjson* json_array!
U70 export_missing_attribute omitted* null!
U73 cep_versions any_2x* 2.11_only!
"""

NUMERIC = frozenset({"max_body_bytes", "token_ttl_seconds", "max_id_length", "max_audiences", "max_audience_ids"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One question: its number, its allowed values in order, its value under each preset."""

    question: str
    name: str
    values: tuple[str, ...]
    likely: str
    harsh: str

    def accepts(self, value: str) -> bool:
        """True for a listed value; numeric switches also take any non-negative whole number."""
        return value in self.values or (self.name in NUMERIC and value.isascii() and value.isdigit())

    def allowed(self) -> str:
        """The allowed values, for a message."""
        return ", ".join(self.values) + (" or any whole number from 0" if self.name in NUMERIC else "")


def _parse(line: str) -> Switch:
    question, name, *marked = line.split()
    values = tuple(value.rstrip("*!") for value in marked)
    likely = next(value.rstrip("*!") for value in marked if "*" in value)
    harsh = next((value.rstrip("*!") for value in marked if "!" in value), likely)
    return Switch(question=question, name=name, values=values, likely=likely, harsh=harsh)


SWITCHES: Mapping[str, Switch] = MappingProxyType(
    {switch.name: switch for switch in map(_parse, _TABLE.strip().splitlines())}
)


class Chosen(TypedDict):
    """The part of `Options` that `parse_switches` fills."""

    preset: str
    switches: dict[str, str]


def check(name: str, value: str) -> None:
    """Raise a ValueError a person can act on unless `value` is allowed for the switch `name`."""
    if name not in SWITCHES:
        close = [known for known in SWITCHES if name and (name in known or known in name)]
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise ValueError(f"unknown switch {name!r}{hint or '.'} Known switches: {', '.join(SWITCHES)}")
    if not SWITCHES[name].accepts(value):
        raise ValueError(f"switch {name} cannot be {value!r}; allowed: {SWITCHES[name].allowed()}")


def parse_switches(preset: str, items: Iterable[str]) -> Chosen:
    """`("harsh", ["retry_after=seconds"])` → `preset` and `switches` of Options; ValueError lists what is allowed."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; presets are {', '.join(PRESETS)}")
    chosen: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"expected SWITCH=VALUE, got {item!r}")
        check(name, value)
        chosen[name] = value
    return {"preset": preset, "switches": chosen}


def resolve(preset: str, overrides: Mapping[str, str]) -> dict[str, str]:
    """Every switch with its value under `preset`, then `overrides`; all names and values are checked."""
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; presets are {', '.join(PRESETS)}")
    for name, value in overrides.items():
        check(name, value)
    base = {name: switch.harsh if preset == "harsh" else switch.likely for name, switch in SWITCHES.items()}
    return base | dict(overrides)
