"""The page at `/`: what Batch's Audiences tab would show, per account, with profile counts and the request log.

https://doc.batch.com/dashboard/cep/profiles/audiences
"""

import time
from html import escape
from typing import Any

from reconciler.emulator import page
from reconciler.emulator.control import described, every_audience
from reconciler.emulator.messages import Call, Reply
from reconciler.emulator.switches import SWITCHES
from reconciler.emulator.world import World

RECENT = 30
NOTHING = '<span class="zero">\N{EN DASH}</span>'
LABELS = {
    "custom_ids": "Custom user ID",
    "emails": "Email",
    "install_ids": "Install ID",
    "installation_ids": "Install ID",
    "advertising_ids": "Advertising ID",
}
STATES = {"APPLIED": ("ok", "Ready"), "IN_PROGRESS": ("busy", "Indexing"), "REPLACED": ("muted", "Replaced")}


def answer(world: World, call: Call) -> Reply:
    """The dashboard as self-contained HTML."""
    html = page.PAGE.replace("@@MAIN@@", _main(world, call.now))
    headers = {"Content-Security-Policy": page.POLICY, "Cache-Control": "no-store"}
    return Reply(status=200, raw=html.encode(), content_type="text/html; charset=utf-8", headers=headers)


def _main(world: World, now: float) -> str:
    audiences = [described(world, audience, now) for audience in every_audience(world, now)]
    world.store.db.commit()
    accounts = world.store.all("SELECT * FROM accounts ORDER BY first_seen, account")
    sections = "".join(_account(world, row["account"], row["api"], audiences, now) for row in accounts)
    return _tiles(world, audiences) + (sections or page.EMPTY) + _breaches(world) + _log(world)


def _tiles(world: World, audiences: list[dict[str, Any]]) -> str:
    breaches = world.store.number("SELECT count(*) FROM breaches")
    tiles = [
        ("Audiences", len(audiences), ""),
        ("IDs", sum(one["nb_ids"] for one in audiences), ""),
        ("Profiles", world.store.number("SELECT count(*) FROM profiles"), ""),
        ("Custom data", world.store.number("SELECT count(*) FROM custom_data"), ""),
        ("Requests", world.store.number("SELECT count(*) FROM log"), ""),
        ("Breaches", breaches, " bad" if breaches else " good"),
    ]
    made = "".join(
        f'<div class="tile{tone}"><span>{label}</span><strong>{_count(value)}</strong></div>'
        for label, value, tone in tiles
    )
    moved = sum(value != switch for value, switch in zip(world.switches.values(), _likely(), strict=True))
    note = f"Preset <b>{escape(world.options.preset)}</b>"
    note += f" · {moved} switches differ from the likely reading" if moved else ""
    return f'<p class="note">{note}</p><div class="tiles">{made}</div>'


def _likely() -> list[str]:
    return [switch.likely for switch in SWITCHES.values()]


def _account(world: World, account: str, api: str, audiences: list[dict[str, Any]], now: float) -> str:
    mine = [one for one in audiences if one["account"] == account]
    table = "profiles" if api == "cep" else "custom_data"
    people = world.store.number(f"SELECT count(*) FROM {table} WHERE account=?", account)
    what = "Project" if api == "cep" else "Application"
    label = ("profile" if api == "cep" else "user") + ("" if people == 1 else "s")
    label += "" if api == "cep" else " with custom data"
    rows = "".join(_audience(one, now) for one in mine)
    body = page.AUDIENCES.replace("@@ROWS@@", rows) if rows else '<p class="none">No audience yet.</p>'
    return (
        f"<section><h2>{what} <code>{escape(account)}</code><small>{api.upper()} · "
        f"{len(mine)} audience{'' if len(mine) == 1 else 's'} · {_count(people)} {label}</small></h2>{body}</section>"
    )


def _audience(one: dict[str, Any], now: float) -> str:
    tone, label = STATES.get(one["state"], ("muted", one["state"]))
    text = f"<small>{escape(one['text'])}</small>" if one["text"] else ""
    return (
        f'<tr><td class="name"><b>{escape(one["name"])}</b>{text}</td>'
        f'<td data-label="Type">{escape(LABELS.get(one["type"], one["type"]))}</td>'
        f'<td data-label="IDs" class="number">{_count(one["nb_ids"])}</td>'
        f'<td data-label="Last update" title="{_clock(one["updated"])} UTC">{_ago(now - one["updated"])}</td>'
        f'<td data-label="State"><span class="pill {tone}">{escape(label)}</span></td></tr>'
    )


def _breaches(world: World) -> str:
    rows = world.store.all(
        "SELECT kind, count(*) AS n, max(detail) AS detail FROM breaches GROUP BY kind ORDER BY n DESC"
    )
    if not rows:
        return ""
    items = "".join(
        f"<li><b>{escape(row['kind'])}</b> <span>{_count(row['n'])}&times;</span>"
        f"<small>{escape(row['detail'])}</small></li>"
        for row in rows
    )
    return f'<section><h2>Breaches of the contract</h2><ul class="breaches">{items}</ul></section>'


def _log(world: World) -> str:
    rows = world.store.all("SELECT * FROM log ORDER BY seq DESC LIMIT ?", RECENT)
    if not rows:
        return ""
    made = "".join(
        f'<tr><td data-label="Time">{_clock(row["at"])}</td><td class="route"><code>{escape(row["route"])}</code>'
        f"{_trouble(row['fault'], row['error'])}</td>"
        f'<td data-label="Account"><code>{escape(row["account"] or "-")}</code></td>'
        f'<td data-label="Items" class="number">{_count(row["items"]) if row["items"] else NOTHING}</td>'
        f'<td data-label="ms" class="number">{row["ms"]:.0f}</td>'
        f'<td data-label="Status"><span class="pill {_tone(row["status"])}">{row["status"] or "cut"}</span></td></tr>'
        for row in rows
    )
    return f"<section><h2>Last requests</h2>{page.REQUESTS.replace('@@ROWS@@', made)}</section>"


def _trouble(fault: str, error: str) -> str:
    parts = [part for part in (f"fault: {fault}" if fault else "", error) if part]
    return f"<small>{escape(' · '.join(parts))}</small>" if parts else ""


def _tone(status: int) -> str:
    return "ok" if 200 <= status < 400 else "bad" if status >= 500 or status == 0 else "busy"


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(moment))


def _ago(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now" if seconds < 5 else f"{int(seconds)} s ago"
