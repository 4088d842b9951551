"""Which hosts are this machine itself: the only ones that may be spoken to without TLS."""

from __future__ import annotations

_NAMES = ("localhost", "::1")


def is_loopback(host: str) -> bool:
    """``localhost``, ``::1`` and the whole of 127.0.0.0/8 as four numbers."""
    if host in _NAMES:
        return True
    numbers = host.split(".")
    return (
        len(numbers) == 4 and numbers[0] == "127" and all(n.isascii() and n.isdigit() and int(n) < 256 for n in numbers)
    )
