"""Plan → requests, each acknowledgement written down before the next step."""

from reconciler.apply.lanes import apply
from reconciler.apply.rejected import REFUSED
from reconciler.apply.tools import Progress, Tools

__all__ = ["REFUSED", "Progress", "Tools", "apply"]
