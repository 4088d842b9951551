"""``batchctl state`` on a folder: what it says when a hand slips."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
from reconciler.state.state import Pending
from reconciler.state.store import StateStore
from tests.cli.kit import AUDIENCE, Command, Done, Typed, people
from tests.conftest import MakeProject
from tests.state.kit import NOW, target
from tests.state.kit import state as empty


def state(batchctl: Command, *arguments: str, stdin: str | Typed = "") -> Done:
    return batchctl.raw("state", *arguments, "-C", str(batchctl.root), stdin=stdin)


def test_a_lock_whose_holder_cannot_be_read_is_held(batchctl: Command) -> None:
    folder = batchctl.root / "state"
    with acquire(folder, timeout_seconds=0, holder=Holder(text="apply", started=NOW)):
        (folder / "lock").write_bytes(b"\xff{")
        done = state(batchctl, "unlock", "--auto-approve")
        assert (done.returncode, "held, by whom is unknown" in done.stdout) == (1, True), done
        assert "the moment that process ends" in done.stderr
        assert "held by an unknown holder" in batchctl.ok("status")
        lock = json.loads(batchctl.ok("status", "--format", "json"))["lock"]
        assert lock == dict.fromkeys(("by", "pid", "host", "since", "run", "heard_seconds_ago", "lease_seconds"))
    assert "the lock is free" in state(batchctl, "unlock").stdout


@pytest.mark.parametrize("command", ["list", "verify", "compact", "pull", "show x", "rm x --auto-approve"])
def test_where_there_is_no_state_that_is_said(batchctl: Command, command: str) -> None:
    done = state(batchctl, *command.split())
    assert "there is no state yet: nothing was ever applied from state\n" in done.stderr, done


def test_what_is_unfinished_waits_for_the_run_that_holds_the_lock(batchctl: Command) -> None:
    unfinished = target(pending=Pending(op="delete", plan="", started=NOW))
    StateStore(batchctl.root / "state").write(empty(environment="").with_target(unfinished))
    assert "1 unfinished: run batchctl apply" in batchctl.ok("status")
    with acquire(batchctl.root / "state", timeout_seconds=0, holder=Holder(text="apply", started=NOW)):
        assert "1 unfinished: wait for the run that holds the lock" in batchctl.ok("status")


def test_unlock_needs_no_key_of_the_encryption(batchctl: Command) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("{url: state}", '{url: state, encryption: {key: "${env:STATE_KEY}"}}'))
    assert "is not set" in state(batchctl, "list").stderr
    done = state(batchctl, "unlock")
    assert (done.returncode, done.stdout) == (0, "the lock is free\n"), done


@pytest.mark.parametrize("account", ["zz", "00C0FFEE", "0x00c0ff", "00c0ffee0"])
def test_mv_takes_no_account_that_cannot_be_one(batchctl: Command, account: str) -> None:
    batchctl.ok("apply", "--auto-approve")
    done = state(batchctl, "mv", AUDIENCE, f"{account}/cep/{AUDIENCE}")
    assert (done.returncode, "an account is 8 hexadecimal digits" in done.stderr) == (64, True), done


def test_pull_names_the_folder_that_does_not_exist(batchctl: Command, tmp_path: Path) -> None:
    batchctl.ok("apply", "--auto-approve")
    done = state(batchctl, "pull", "--out", str(tmp_path / "none" / "state.json"))
    said = " ".join(done.stderr.split())
    assert (done.returncode, f"the folder {tmp_path / 'none'} of --out does not exist" in said) == (1, True), done
    assert "state.url" not in said


def test_a_damaged_file_of_the_state_is_not_called_a_source(batchctl: Command, project: MakeProject) -> None:
    """Damage that the system does not tell of: no time of the file differs from when it was written."""
    batchctl.ok("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    (base,) = (batchctl.root / "state" / "targets").rglob("*.parquet")
    before, content = base.stat(), base.read_bytes()
    base.write_bytes(content.replace(b"PAR1", b"rap1"))
    os.utime(base, ns=(before.st_atime_ns, before.st_mtime_ns))
    project.table("data/people.parquet", people(41, loyal=31))
    done = batchctl("plan", "--target", "segment-link/loyal-ios")
    said = "".join(done.stderr.split())
    assert (done.returncode, f"{base}isnotwhatwaswritten" in said) == (1, True), done
    assert "source" not in done.stderr


@pytest.mark.parametrize("answer", ["n", "y", "", "no thanks"])
@pytest.mark.parametrize("command", [("rm", AUDIENCE), ("push", "FILE")])
def test_whatever_is_not_yes_is_a_no_as_in_apply(batchctl: Command, command: tuple[str, ...], answer: str) -> None:
    applied = batchctl("apply", stdin=Typed(f"{answer}\n"))
    assert (applied.returncode, applied.stderr.endswith("Not applied: nothing was sent.\n")) == (1, True), applied
    batchctl.ok("apply", "--auto-approve")
    file = batchctl.root / "pulled.json"
    state(batchctl, "pull", "--out", str(file))
    words = [str(file) if word == "FILE" else word for word in command]
    done = state(batchctl, *words, stdin=Typed(f"{answer}\n"))
    assert (done.returncode, done.stderr.endswith("Not done: nothing was changed.\n")) == (1, True), done
    assert state(batchctl, "pull").stdout == file.read_text()
    assert state(batchctl, *words, stdin=Typed("yes\n")).returncode == 0


PROFILES = "3fa29c01/mep-1.0/$profiles"


def owned(batchctl: Command, *keys: str) -> None:
    """A state that owns these targets of one account or another."""
    targets = [target(audience="").model_copy(update={"account": "3fa29c01"})]
    targets += [target(audience=name).model_copy(update={"account": account}) for account, name in map(str.split, keys)]
    StateStore(batchctl.root / "state").write(empty(environment="").with_targets(targets))


@pytest.mark.parametrize("key", [PROFILES, PROFILES.replace("$", ""), PROFILES.replace("$profiles", ""), "profiles"])
def test_a_key_of_profiles_may_be_what_a_shell_makes_of_it(batchctl: Command, key: str) -> None:
    owned(batchctl, "3fa29c01 lapsed")
    assert json.loads(state(batchctl, "show", key).stdout)["audience"] == ""
    moved = key.replace("3fa29c01", "00c0ffee")
    done = state(batchctl, "mv", key, moved if "/" in moved else f"00c0ffee/mep-1.0/{moved}")
    assert done.stdout.startswith("00c0ffee/mep-1.0/$profiles, "), done
    done = state(batchctl, "verify", PROFILES.replace("3fa29c01", "00c0ffee"))
    assert "1 target, 0 wrong" in done.stdout


def test_a_key_that_may_mean_two_targets_means_none(batchctl: Command) -> None:
    owned(batchctl, "3fa29c01 profiles", "00c0ffee profiles", "00c0ffee lapsed")
    assert json.loads(state(batchctl, "show", "3fa29c01/mep-1.0/profiles").stdout)["audience"] == "profiles"
    assert json.loads(state(batchctl, "show", "3fa29c01/mep-1.0/").stdout)["audience"] == ""
    two = state(batchctl, "rm", "profiles", "--auto-approve")
    said = " ".join(two.stderr.split())
    assert (two.returncode, "use one of 00c0ffee/mep-1.0/profiles, 3fa29c01/mep-1.0/profiles" in said) == (1, True), two
    none = state(batchctl, "rm", PROFILES[:-1], "--auto-approve")
    assert (none.returncode, f"did you mean '{PROFILES}'?" in none.stderr) == (1, True), none
    none = state(batchctl, "show", "lapsedd")
    assert (none.returncode, "did you mean lapsed?" in none.stderr) == (1, True), none
