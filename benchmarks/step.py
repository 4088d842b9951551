"""The delta step alone, as a process: specs and state are read, Batch is not asked; prints what was staged.

    python -m benchmarks.step FOLDER [--nothing | --recognised]

`--nothing` stops before the delta step; `--recognised` is what comes after a commit of the same inputs.
"""

from __future__ import annotations

import gc
import os
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks.people import targets_of


def main() -> None:
    gc.set_threshold(200_000, 20, 50)  # this and the next lines as the command line does
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from reconciler.data.engine import Engine
    from reconciler.data.inputs import Inputs
    from reconciler.errors import Location
    from reconciler.evaluate import evaluate
    from reconciler.plan.course import Course
    from reconciler.plan.values import Op
    from reconciler.recognise import Ground
    from reconciler.state.reader import StateReader
    from reconciler.state.standing import Acked, stand

    folder = Path(sys.argv[1])
    reader = StateReader(folder / ".batchctl")
    state = reader.read()
    targets = targets_of(folder)
    courses, standings = [], {}
    inputs = Inputs(folder, ())
    for key, target in targets.items():
        known = state.target(key) if state else None
        if known and "--recognised" in sys.argv:
            known = known.model_copy(update={"inputs": inputs.digest(target)})
        courses.append(Course(key=key, op=Op.DELTA, target=target, known=known, void=known is None))
        if known:
            standings[str(key)] = stand(known, Acked())
    ground = Ground(
        root=folder, where=lambda *_: Location("specs.yaml"), progress=lambda _: None,
        path_of=reader.path_of, locate=partial(reader.path_of, verify=True),
    )  # fmt: skip
    if "--nothing" in sys.argv:
        return
    with Engine(now=datetime.now(UTC)) as engine:
        staged = evaluate(engine, courses, standings, ground).staged
    counts = [one.counts for one in staged.values()]
    print(counts[0] if len(counts) == 1 else sum(one.members for one in counts))


if __name__ == "__main__":
    main()
