"""What nobody foresaw, as one clear message: the exception and its place, never its text, which may hold anything."""

from __future__ import annotations

from reconciler.errors import BatchctlError

_KEPT = "what Batch accepted is written down; it is safe to run the command again"
_NO_THREAD = "can't start new thread"


def unforeseen(error: Exception) -> BatchctlError:
    """A fault of batchctl itself, or what the operating system refused."""
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return BatchctlError(f"{name}{error.strerror}", why=f"noticed{_place(error)}", fix=_KEPT)
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        why = "the number of processes is limited: by ulimit -u, the container or the machine"
        return BatchctlError("the system starts no more threads", why=why, fix=f"raise the limit; {_KEPT}")
    what = f"a fault of batchctl itself: {type(error).__name__}{_place(error)}"
    return BatchctlError(what, why=_KEPT, fix="please report the line above; BATCHCTL_DEBUG=1 shows more")


def _place(error: Exception) -> str:
    """`` in reconciler.x:12``: the innermost line of ours."""
    frames, place = error.__traceback__, ""
    while frames is not None:
        name = str(frames.tb_frame.f_globals.get("__name__", ""))
        if name.startswith("reconciler"):
            place = f" in {name}:{frames.tb_lineno}"
        frames = frames.tb_next
    return place
