"""Every switch of the contract exists, has its defaults, and each of its values has the effect it stands for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.emulator import Options, parse_faults, parse_switches
from reconciler.emulator.switches import NUMERIC, SWITCHES, resolve
from tests.emulator.kit import Batch
from tests.emulator.probes import EXTRA, PROBES

TABLE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "switches.yaml").read_text())
CASES = [(name, value) for name, row in TABLE["switches"].items() for value in row["values"]]


def test_table_is_the_contract() -> None:
    made = {
        name: {"u": switch.question, "default": switch.likely, "values": list(switch.values)}
        for name, switch in SWITCHES.items()
    }
    assert made == TABLE["switches"]


@pytest.mark.parametrize("preset", ["likely", "harsh"])
def test_presets(preset: str) -> None:
    defaults = {name: row["default"] for name, row in TABLE["switches"].items()}
    assert resolve(preset, {}) == defaults | TABLE["presets"][preset]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_each_value_has_its_effect(name: str, value: str) -> None:
    probe, expected = PROBES[name]
    assert probe(Batch(**{name: value}, **EXTRA[name])) == expected[value]


@pytest.mark.parametrize("name", list(TABLE["switches"]))
def test_values_differ_in_effect(name: str) -> None:
    _, expected = PROBES[name]
    assert set(expected) == set(TABLE["switches"][name]["values"])
    seen = [repr(one) for one in expected.values()]
    assert len(set(seen)) == len(seen)


def test_parse_switches() -> None:
    chosen = parse_switches("harsh", ["retry_after=seconds", "max_id_length=77"])
    assert chosen == {"preset": "harsh", "switches": {"retry_after": "seconds", "max_id_length": "77"}}
    assert Options(**chosen).preset == "harsh"


@pytest.mark.parametrize(
    ("preset", "item", "words"),
    [
        ("likely", "retry_after=never", "absent, seconds, http_date"),
        ("likely", "retry=seconds", "did you mean retry_after?"),
        ("likely", "foo=1", r"unknown switch 'foo'\. Known switches: "),
        ("likely", "retry_after", "SWITCH=VALUE"),
        ("likely", "max_id_length=-1", "any whole number from 0"),
        ("mild", "retry_after=seconds", "likely, harsh"),
    ],
)
def test_parse_switches_refuses(preset: str, item: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        parse_switches(preset, [item])


def test_numeric_switches_take_any_number() -> None:
    assert all(SWITCHES[name].accepts("12345") for name in NUMERIC)
    assert not SWITCHES["retry_after"].accepts("5")


@pytest.mark.parametrize("item", ["429", "429=2", "429=x", "nope=0.5"])
def test_parse_faults_refuses(item: str) -> None:
    with pytest.raises(ValueError, match=r"probability|faults are"):
        parse_faults([item])
