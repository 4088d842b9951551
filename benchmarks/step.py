"""The delta step alone, as a process: specs and state are read, Batch is not asked; prints what was staged.

python -m benchmarks.step FOLDER
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.people import target_of


def main() -> None:
    from reconciler.data.engine import Engine
    from reconciler.errors import Location
    from reconciler.evaluate import Ground, evaluate
    from reconciler.plan.course import Course
    from reconciler.plan.values import Op
    from reconciler.state.reader import StateReader
    from reconciler.state.standing import Acked, stand

    folder = Path(sys.argv[1])
    reader = StateReader(folder / ".batchctl")
    state = reader.read()
    target = target_of(folder)
    known = state.target(target.key) if state else None
    course = Course(key=target.key, op=Op.DELTA, target=target, known=known, void=known is None)
    standings = {str(target.key): stand(known, Acked())} if known else {}
    ground = Ground(
        root=folder, where=lambda *_: Location("specs.yaml"), progress=lambda _: None,
        path_of=reader.path_of, locate=reader.locate,
    )  # fmt: skip
    with Engine(now=datetime.now(UTC)) as engine:
        print(evaluate(engine, [course], standings, ground).staged[target.key].counts)


if __name__ == "__main__":
    main()
