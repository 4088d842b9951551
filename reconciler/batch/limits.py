"""How many items one request takes, and how fast requests may follow each other. Every number names its page."""

from __future__ import annotations

from typing import Final

IDS_PER_CALL: Final = 10_000
"""Members per update or replace: https://doc.batch.com/developer/api/cep/audiences/update,
https://doc.batch.com/api/custom-audience/1.0/update/ (taken over for MEP 1.1)."""

PROFILES_PER_UPDATE: Final = 200
"""Operations per ``/profiles/update``, since 2.4: https://doc.batch.com/developer/api/cep/profiles/update"""

PROFILES_PER_MASS_UPDATE: Final = 10_000
"""Operations per ``/profiles/mass-update``: https://doc.batch.com/developer/api/cep/profiles/mass-update-profile"""

USERS_PER_CUSTOM_DATA_CALL: Final = 10_000
"""Users per Custom Data call: https://doc.batch.com/api/custom-data-api/set-update/"""

AUDIENCE_ATTRIBUTES: Final = 15
"""Attributes per member: https://doc.batch.com/developer/api/cep/audiences/update; MEP 1.1 follows
https://doc.batch.com/api/trigger-events-api/parameters."""

AUDIENCE_TAGS: Final = 10
"""Tags per MEP 1.1 member, by the rule of https://doc.batch.com/api/trigger-events-api/parameters."""

PROFILE_ATTRIBUTES: Final = 50
"""Attributes per profile operation: https://github.com/segmentio/action-destinations (destination ``batch``)."""

PAGE: Final = 100
"""Largest page of a list: https://doc.batch.com/developer/api/cep/audiences/list"""

REQUESTS_PER_SECOND: Final = 1.0
"""Everything but profile writes, per company: third parties only, e.g.
https://github.com/segmentio/action-destinations (destination ``batch``)."""

PROFILE_UPDATES_PER_SECOND: Final = 300.0
PROFILE_UPDATES_BURST: Final = 1_000.0
"""Custom IDs, token bucket: https://doc.batch.com/developer/api/cep/profiles/update"""

MASS_UPDATES_PER_SECOND: Final = 10_000.0
MASS_UPDATES_BURST: Final = 10_000.0
"""Custom IDs; no burst beyond the one call that fills a second:
https://doc.batch.com/developer/api/cep/profiles/mass-update-profile"""
