"""What a finished plan may do: guards, protections and their reviewed overrides. A filter that never hides the plan."""

from reconciler.policy.check import check

__all__ = ["check"]
