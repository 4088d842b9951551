"""References resolved: links (segment × action × mapping × destination), targets, naming and the matrix. Pure."""

from reconciler.link.former import former_links
from reconciler.link.names import audience_name
from reconciler.link.resolve import resolve
from reconciler.link.values import Link, LinkAttribute, Resolution, Target

__all__ = ["Link", "LinkAttribute", "Resolution", "Target", "audience_name", "former_links", "resolve"]
