"""What a run would do: values (here), how they are made (`make`), cut into requests (`slices`) and summed (`sums`)."""

from reconciler.plan.values import (
    FORMAT,
    Change,
    Cost,
    Op,
    Outcome,
    Plan,
    Refusal,
    Totals,
    Writes,
)

__all__ = ["FORMAT", "Change", "Cost", "Op", "Outcome", "Plan", "Refusal", "Totals", "Writes"]
