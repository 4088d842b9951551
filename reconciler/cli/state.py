"""``batchctl state``: looking at the state, and the few ways to change it by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from reconciler.cli.byhand import (
    approved,
    declined,
    doubts,
    key_meant,
    opened,
    read_state,
    remembered,
    session_of,
    staged,
    target_meant,
    warn,
)
from reconciler.cli.options import common, waiting
from reconciler.errors import BatchctlError, ExitCode, StateError

approving = click.option("--auto-approve", is_flag=True, help="Do not ask.")


@click.group("state")
def command() -> None:
    """Look at the state, and change it by hand where nothing else helps.

    KEY is account/space/audience as batchctl state list shows it, or the audience's name where only one has it. What
    ends in $profiles may be written with profiles instead, which no shell changes.
    """


@command.command("list")
@common
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Form of the list.")
def listing(form: str, **shared: Any) -> int:
    """List the targets that are ours: key, members told, files."""
    state = read_state(session_of(shared))
    targets = list(state.targets.values()) if state else []
    rows = [(str(one.key), one.baseline.count, len(one.baseline.files), one.pending is not None) for one in targets]
    if form == "json":
        names = ("key", "members", "files", "unfinished")
        shown = {"format": 1, "serial": state.serial if state else None}
        click.echo(json.dumps({**shown, "targets": [dict(zip(names, row, strict=True)) for row in rows]}, indent=2))
        return 0
    from reconciler.render.words import counted, plain

    width = max((len(row[0]) for row in rows), default=0)
    for key, members, files, unfinished in rows:
        line = f"{plain(key):{width}}  {members:>11,}  {counted(files, 'file'):>9}"
        click.echo(f"{line}  unfinished" if unfinished else line)
    return 0


@command.command("show")
@click.argument("key")
@common
def show(key: str, **shared: Any) -> int:
    """Show all that is known of one target, as JSON."""
    state = read_state(session_of(shared))
    click.echo(json.dumps(target_meant(state, key).model_dump(mode="json"), indent=2))
    return 0


@command.command("pull")
@common
@click.option("--serial", type=int, help="A previous version. Default: the newest.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write. Default: standard output.")
def pull(serial: int | None, out: Path | None, **shared: Any) -> int:
    """Write the state document, decrypted, for a look or for batchctl state push."""
    from reconciler.cli.opening import reading
    from reconciler.state import durable
    from reconciler.state.document import encode
    from reconciler.state.names import PREVIOUS, serial_of

    session = session_of(shared)
    reader = reading(session)
    if serial is None:
        state = reader.document() or reader.read()  # one that was set back is what may have to be pushed
    else:
        name, kept = f"{PREVIOUS}state-{serial}.json", reader.previous()
        if name not in kept:
            newest = "without --serial the newest version is written"
            serials = ", ".join(str(serial_of(one)) for one in kept)
            fix = f"kept are {serials}; {newest}" if kept else newest
            raise StateError(f"version {serial} of the state is not kept", fix=fix)
        state = reader.read_previous(name)
    warn(session, doubts(session, state))
    if state is None:
        raise StateError("there is no state yet", fix="batchctl apply writes the first one")
    text = encode(state)
    if out is None:
        click.echo(text.decode(), nl=False)
        return 0
    try:
        with durable.replacing(out, name="pull") as file:
            file.write(text)
    except OSError as error:
        why = error.strerror or "" if out.parent.is_dir() else f"the folder {out.parent} of --out does not exist"
        fix = "name a folder that exists, has room and may be written"
        raise BatchctlError(f"{out} could not be written", why=why, fix=fix) from error
    return 0


@command.command("push")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@common
@click.option("--force", is_flag=True, help="Also over another lineage, a newer version, or one that cannot be read.")
@approving
@waiting
def push(file: Path, force: bool, auto_approve: bool, lock_timeout: float, **shared: Any) -> int:
    """Make a pulled state document the newest version. The version before is kept; nothing sent since is forgotten."""
    from reconciler import upkeep

    session = session_of(shared)
    if not approved(f"Make {file} the state of {session.state_url}?", auto_approve=auto_approve):
        return declined()
    with opened(session, "state push", lock_timeout) as store:
        written = upkeep.restored(store, file.read_bytes(), where=str(file), force=force, now=session.now)
    click.echo(f"state serial {written.serial}")
    return 0


@command.command("mv")
@click.argument("key")
@click.argument("new")
@common
@waiting
def move(key: str, new: str, lock_timeout: float, **shared: Any) -> int:
    """Move what is known of a target to its account's new digest, after its key was replaced.

    Account and space may differ between KEY and NEW; the audience may not, because Batch cannot rename one.
    """
    session = session_of(shared)
    with opened(session, "state mv", lock_timeout) as store:
        state = store.read()
        warn(session, doubts(session, state))
        known = target_meant(state, key)
        assert state is not None
        wanted = key_meant(new, known.key)
        if wanted.audience != known.audience:
            raise StateError(
                "an audience cannot be renamed in Batch, so its record cannot either",
                fix="name the new audience on the segment link: batchctl plan shows what that means",
            )
        if wanted == known.key or state.target(wanted) is not None:
            raise StateError(f"{wanted} is in the state already", fix="batchctl state list shows all keys")
        moved = known.model_copy(update={"account": wanted.account, "space": wanted.space})
        written = store.write(state.by_hand().without_target(known.key).with_target(moved))
    click.echo(f"{wanted}, state serial {written.serial}")
    return 0


@command.command("rm")
@click.argument("key")
@common
@approving
@waiting
def remove(key: str, auto_approve: bool, lock_timeout: float, **shared: Any) -> int:
    """Forget a target: Batch keeps what it holds, and batchctl import takes it over again.

    Until the fifth version of the state after, an import knows who was told: who leaves or withdraws consent meanwhile
    is removed. An apply may write as many: import before it.
    """
    session = session_of(shared)
    known = target_meant(read_state(session), key)
    if not approved(f"Forget {known.key}, {known.baseline.count:,} members told?", auto_approve=auto_approve):
        return declined()
    with opened(session, "state rm", lock_timeout) as store:
        state = store.read()
        known = target_meant(state, str(known.key))
        assert state is not None
        written = store.write(state.by_hand().without_target(known.key))
    click.echo(f"forgot {known.key}; nothing was changed in Batch; state serial {written.serial}")
    if known.may_hold:
        click.echo(remembered(known, written.serial))
    return 0


@command.command("unlock")
@common
@approving
def unlock(auto_approve: bool, **shared: Any) -> int:
    """Free the lock of a run that is dead. Names the holder first, and for a bucket when it was last heard from."""
    from reconciler.cli.opening import bare_place_of
    from reconciler.state import lease
    from reconciler.state.holder import UNKNOWN
    from reconciler.state.lock import held_at

    place = bare_place_of(session_of(shared))
    holder, heard = held_at(place)
    if holder is None:
        click.echo("the lock is free")
        return 0
    known = holder is not UNKNOWN
    click.echo(f"held by {holder}" if known else "held, by whom is unknown")
    if heard is None:
        process = f"process {holder.pid} on {holder.host}" if known else "that process"
        raise StateError(
            "the lock of a folder cannot be taken from a process that lives",
            fix=f"it is free the moment {process} ends",
        )
    click.echo(str(heard))
    question = "Is that process dead? If it is not, it may send for 15 seconds more."
    if not approved(question, auto_approve=auto_approve):
        return declined()
    freed = lease.unlock(place, heard)
    click.echo(f"freed the lock of {holder}" if freed else "the lock is free")
    return 0


@command.command("compact")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@common
@waiting
def compact(keys: tuple[str, ...], lock_timeout: float, **shared: Any) -> int:
    """Fold base and delta files of targets (default: all) into one, and delete files nothing needs.

    With encryption, all that is kept plain or under the fallback key is encrypted under the key, whatever targets are
    given: that is the way to enforced: true and to another key. Exit 1 names what cannot be opened, and is not needed.
    """
    from reconciler import upkeep
    from reconciler.cli.opening import seal_of
    from reconciler.cli.progress import Reporter
    from reconciler.cli.runs import reseal_rejects

    session = session_of(shared)
    seal = seal_of(session)
    folded, gone = 0, tuple[str, ...]()
    reporter = Reporter(json_lines=session.common.log_json)
    with opened(session, "state compact", lock_timeout, reporter) as store:
        state = store.read()
        warn(session, doubts(session, state))
        chosen = [target_meant(state, key) for key in keys] or (list(state.targets.values()) if state else [])
        if state is not None:
            todo = [known for known in chosen if upkeep.foldable(known)]
            state, folded = upkeep.compacted(store, state, staged("folding", todo, reporter), now=session.now)
            reporter.stage("deleting what nothing needs")
            gone = store.sweep(state, since=session.history_since)
        if seal:
            reporter.stage("encrypting")
        done = (store.reseal(), reseal_rejects(session.state_root, seal=seal)) if seal else ()
    sealed, wrong = sum(count for count, _ in done), [what for _, some in done for what in some]
    from reconciler.render.words import counted

    more = f", {counted(sealed, 'file')} encrypted" if seal else ""
    click.echo(f"{counted(folded, 'target')} folded, {counted(len(gone), 'file')} deleted{more}")
    if wrong:
        raise StateError(
            f"{counted(len(wrong), 'file')} could not be encrypted, and {'stay' if wrong[1:] else 'stays'} as before",
            why="\n".join(wrong),
            fix="needed only for going back, or as history: restore from a backup or delete, and run "
            "batchctl state compact again before fallback is removed",
        )
    return 0


@command.command("verify")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@common
def verify(keys: tuple[str, ...], **shared: Any) -> int:
    """Prove that the state is the fold of its files: every digest, every row count, every member counted.

    Reads all files of the targets given (default: all) from where they are kept. Exit 1 when something is wrong.
    """
    from reconciler import upkeep
    from reconciler.cli.opening import reading
    from reconciler.cli.progress import Reporter
    from reconciler.render.words import counted, plain
    from reconciler.scratch import Scratch

    session = session_of(shared)
    wrong = 0
    with Scratch() as folder, Reporter(json_lines=session.common.log_json) as reporter:
        reader = reading(session, cache=folder)
        state = reader.read()
        warn(session, doubts(session, state))
        chosen = [target_meant(state, key) for key in keys] or (list(state.targets.values()) if state else [])
        for known in staged("verifying", chosen, reporter):
            found = upkeep.verify(reader, known, now=session.now)
            reporter.close()
            wrong += bool(found.faults)
            members = "-" if found.members is None else counted(found.members, "member")
            word = "wrong" if found.faults else "unfinished" if found.unfinished else "ok"
            click.echo(f"{plain(found.key)}  {word}  {members} in {counted(found.files, 'file')}")
            for fault in found.faults:
                click.echo(f"    {plain(fault)}")
    click.echo(f"{counted(len(chosen), 'target')}, {wrong:,} wrong")
    return int(ExitCode.ERROR if wrong else ExitCode.OK)
