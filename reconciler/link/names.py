"""Names of audiences: the CDP's documented rule for the default, Batch's rule for all of them.

`Test - Batch Send Custom IDs`, 1562, install IDs → ``Test_-_Batch_Send_Custom_IDs_1562_install_ids``
(https://doc.zeotap.com/articles/integrate-customer/batch).
"""

from __future__ import annotations

import re

from reconciler.address import IdType
from reconciler.spec import Segment, SegmentLink

LONGEST = 255
_VALID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


def audience_name(link: SegmentLink, segment: Segment, id_type: IdType, *, prefix: str = "") -> str:
    """The name in Batch: the link's own, or title, number and kind; the environment's prefix in front of either."""
    own = link.audience.name if link.audience is not None else None
    return prefix + (own or default_name(segment.title or segment.name, segment.id, id_type))


def default_name(title: str, number: int | None, id_type: IdType) -> str:
    """Every run of other characters becomes one ``_``, then the number if there is one, then the kind."""
    parts = [_OTHER.sub("_", title), *([] if number is None else [str(number)]), id_type.value]
    return "_".join(parts)


def is_valid(name: str) -> bool:
    """Batch's rule (https://doc.batch.com/developer/api/cep/audiences/create)."""
    return _VALID.fullmatch(name) is not None
