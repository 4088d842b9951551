"""Injected faults, drawn from one seeded source so that a run can be repeated."""

from dataclasses import dataclass

from reconciler.emulator.messages import Call, Reply
from reconciler.emulator.world import World

REFUSALS = ("503", "500", "429")
PAGES = {"html": 502, "sign_in": 200}
"""What a proxy in front of Batch answers, and the network of a hotel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happens to one request: `refusal` instead of an answer, a break before or after, seconds of delay."""

    name: str = ""
    refusal: str = ""
    page: int = 0
    """Status of a web page instead of an answer."""
    reset_before: bool = False
    reset_after: bool = False
    delay: float = 0.0


def draw(world: World) -> Weather:
    """One draw per fault and request, whatever comes out, so that faults do not shift each other."""
    drawn = {name for name in sorted(world.faults) if world.random.random() < world.faults[name]}
    slow = world.options.slow_seconds
    if "reset_before" in drawn:
        return Weather(name="reset_before", reset_before=True)
    for name, status in PAGES.items():
        if name in drawn:
            return Weather(name=name, page=status)
    for refusal in REFUSALS:
        if refusal in drawn:
            return Weather(name=refusal, refusal=refusal)
    if "lost_reply" in drawn:
        return Weather(name="lost_reply", reset_after=True, delay=slow)
    if "reset_after" in drawn:
        return Weather(name="reset_after", reset_after=True)
    return Weather(name="slow", delay=slow) if "slow" in drawn else Weather()


def page(status: int) -> Reply:
    """A web page; Batch was not asked."""
    title = "Please sign in" if status == 200 else f"{status} Bad Gateway"
    return Reply(
        status=status, raw=f"<html><body><h1>{title}</h1></body></html>".encode(), content_type="text/html",
        error=f"{status} from a proxy (injected fault)",
    )  # fmt: skip


def drops_first_write(world: World, call: Call, reply: Reply) -> bool:
    """True for the first successful write of each route and account, under `drop_response_after_write`."""
    if not call.writes or reply.status >= 300 or world.on("drop_response_after_write", "never"):
        return False
    key = (call.account, call.route)
    if key in world.dropped_routes:
        return False
    world.dropped_routes.add(key)
    return True
