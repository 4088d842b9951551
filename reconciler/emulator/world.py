"""The held resource of one emulator: options, switches, database, random source, rate buckets, and the log."""

import hashlib
import random
import time
from collections.abc import Mapping

from reconciler.emulator import FAULTS, Options
from reconciler.emulator.messages import Call, Reply
from reconciler.emulator.rates import Rates
from reconciler.emulator.store import Store
from reconciler.emulator.switches import check, resolve


def digest(key: str) -> str:
    """First 8 hexadecimal digits of the SHA-256 of a key: how keys are named here, never stored themselves."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


class World:
    """One emulated Batch. Used by a single thread; every request sees it alone."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options.db)
        self.accounts = {digest(key): digest(rest) for key, rest in options.accounts}
        self._begin()

    def _begin(self) -> None:
        options = self.options
        self.switches = resolve(options.preset, options.switches)
        self.faults: dict[str, float] = {}
        self.set_faults(options.faults)
        self.random = random.Random(options.seed)
        self.rates = Rates(options.rate_scale)
        self.flights: dict[int, frozenset[str]] = {}  # ids of accepted but not yet indexed writes, by sequence number
        self.dropped_routes: set[tuple[str, str]] = set()
        self.lists = 0

    def reset(self) -> None:
        """Everything as at the start, in an empty database."""
        self.store.empty()
        self._begin()

    def now(self) -> float:
        """Unix time in seconds."""
        return time.time()

    def on(self, name: str, value: str) -> bool:
        """True when the switch `name` has that value."""
        return self.switches[name] == value

    def set_switch(self, name: str, value: str) -> None:
        """Move one switch; ValueError when it does not exist or the value is not allowed."""
        check(name, value)
        self.switches[name] = value

    def set_faults(self, faults: Mapping[str, object]) -> None:
        """Change the probability of some faults; ValueError on an unknown name or a probability outside 0..1."""
        for name, probability in faults.items():
            if name not in FAULTS:
                raise ValueError(f"unknown fault {name!r}; faults are {', '.join(FAULTS)}")
            if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
                raise ValueError(f"fault {name!r} needs a probability between 0 and 1, not {probability!r}")
            self.faults[name] = float(probability)

    def delay(self) -> float:
        """Seconds between acceptance and indexing."""
        slow = self.on("indexing_outcome", "applied_slowly")
        return self.options.indexing_delay * (5 if slow else 1)

    def meet(self, call: Call) -> None:
        """Remember an account on its first use."""
        sql = "INSERT OR IGNORE INTO accounts(account, api, first_seen) VALUES(?,?,?)"
        self.store.run(sql, call.account, call.api, call.now)

    def record(self, call: Call, reply: Reply | None, *, fault: str = "") -> None:
        """Write one request and its breaches down, and commit."""
        status, size = (reply.status, len(call.body)) if reply is not None else (0, len(call.body))
        self.store.run(
            "INSERT INTO log(at, account, method, route, audience, status, bytes, items, ms, fault, error) "
            "VALUES(?,?,?,?,?,?,?,?,?,?,?)",
            call.now, call.account, call.method, call.route, call.audience, status, size, call.items,
            round((self.now() - call.now) * 1000, 2), fault, reply.error if reply is not None else "",
        )  # fmt: skip
        for kind, detail in call.breaches:
            sql = "INSERT INTO breaches(at, account, kind, route, audience, detail) VALUES(?,?,?,?,?,?)"
            self.store.run(sql, call.now, call.account, kind, call.route, call.audience, detail)
        self.store.db.commit()
