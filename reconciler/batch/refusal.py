"""What an answer that is not a success says: code and message of either error envelope, and how long to wait. Pure.

Envelopes: ``{error_code, error_message}`` (https://doc.batch.com/developer/api/cep/audiences/view) and
``{code, type, message}`` (public clients of the older API); either may come from either API, or none at all.
"""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime


def refused_text(body: object | None, text: str) -> str:
    """Batch's code and message on one line, or the raw text when the body is no known envelope."""
    if not isinstance(body, dict):
        return text.strip() or "no explanation"
    codes = [_word(body.get(name)) for name in ("error_code", "code", "type")]
    messages = [_word(body.get(name)) for name in ("error_message", "message")]
    code, message = " ".join(filter(None, codes)), " ".join(filter(None, messages))
    return ": ".join(filter(None, (code, message))) or text.strip() or "no explanation"


def _word(value: object) -> str:
    """Texts and numbers as text; 0 is a code like any other."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def retry_after(header: str | None, wall: float) -> float | None:
    """Seconds of a ``Retry-After`` (a number of seconds or an HTTP date); None when it does not parse."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) < 16 else None
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
