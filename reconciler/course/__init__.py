"""Which kind of change each target needs, decided before anybody is counted: named targets, then orphans. Pure."""

from reconciler.course.decide import Selection, decide, unmanaged
from reconciler.plan.course import Course

__all__ = ["Course", "Selection", "decide", "unmanaged"]
