"""A strict local Batch: both public APIs, asynchronous indexing, limits, faults and a dashboard page.

Written from the public documentation (https://doc.batch.com/) and sharing no code with the client, so that it can
catch the client lying. Importing this module loads no web server.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf

from reconciler.emulator.switches import parse_switches

__all__ = ["Options", "parse_faults", "parse_switches", "running", "serve"]

FAULTS = ("429", "500", "503", "html", "sign_in", "reset_before", "reset_after", "lost_reply", "slow", "partial")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one emulator runs. Delays are seconds, `faults` are probabilities, `accounts` are (key, REST key) pairs."""

    host: str = "127.0.0.1"
    port: int = 0
    preset: str = "likely"
    switches: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    db: str | None = None
    indexing_delay: float = 0.2
    rate_scale: float = 1.0
    slow_seconds: float = 2.0
    accounts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises a ValueError that names the option of the command line."""
        if not 0 <= self.port < 1 << 16:
            raise ValueError(f"--port takes a number from 0 to 65535, not {self.port}")
        for name in ("indexing_delay", "rate_scale", "slow_seconds"):
            value = getattr(self, name)
            if not 0 <= value < inf:
                raise ValueError(f"--{name.replace('_', '-')} takes a finite number, 0 or more, not {value}")


def parse_faults(items: Iterable[str]) -> dict[str, float]:
    """`["429=0.05"]` → `{"429": 0.05}`; a ValueError names the allowed faults."""
    faults: dict[str, float] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; faults are {', '.join(FAULTS)}")
        try:
            probability = float(text if equals else "")
        except ValueError:
            probability = -1.0
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"fault {name!r} needs a probability between 0 and 1, as in {name}=0.05, not {item!r}")
        faults[name] = probability
    return faults


def serve(options: Options, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `ready` receives the base URL once the socket listens."""
    from reconciler.emulator import server  # late: starlette and uvicorn are slow to import

    server.serve(options, ready=ready)


@contextmanager
def running(options: Options) -> Iterator[str]:
    """An emulator in a thread of this process; yields `http://127.0.0.1:PORT` and stops at the end of the block."""
    from reconciler.emulator import server  # late: starlette and uvicorn are slow to import

    with server.running(options) as url:
        yield url
