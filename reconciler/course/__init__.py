"""Which kind of change each target needs, decided before anybody is counted: named targets, then orphans. Pure."""

from reconciler.course.decide import decide, unmanaged
from reconciler.course.orphan import consent_waits
from reconciler.plan.course import Course

__all__ = ["Course", "consent_waits", "decide", "unmanaged"]
