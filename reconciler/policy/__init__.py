"""What a finished plan may do: guards, protections and their reviewed overrides. A filter that never hides the plan."""

from reconciler.policy.check import check
from reconciler.policy.sources import lists_believed

__all__ = ["check", "lists_believed"]
