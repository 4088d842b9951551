"""The fixed parts of the dashboard page: style, script, table heads. No external asset is ever loaded."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

EMPTY = """<section class="empty"><svg width="56" height="56" viewBox="0 0 56 56" aria-hidden="true">
<circle cx="20" cy="20" r="8"/><circle cx="38" cy="23" r="6"/><path d="M6 44c0-9 6-14 14-14s14 5 14 14"/>
<path d="M36 33c8 0 13 4 13 11"/></svg><h2>Nothing here yet</h2>
<p>Point a client at this address. The first request with credentials opens its account, and its
audiences appear here.</p>
</section>"""

AUDIENCES = """<table class="audiences"><thead><tr><th>Audience</th><th>Type</th><th class="number">IDs</th>
<th>Last update</th><th>State</th></tr></thead><tbody>@@ROWS@@</tbody></table>"""

REQUESTS = """<table class="log"><thead><tr><th>Time (UTC)</th><th>Route</th><th>Account</th>
<th class="number">Items</th><th class="number">ms</th><th>Status</th></tr></thead><tbody>@@ROWS@@</tbody></table>"""

_STYLE = """
:root{color-scheme:light dark;--bg:#f5f6f9;--card:#fff;--ink:#1b2030;--soft:#636b80;--line:#e4e7ee;--brand:#5b4bdb;
--ok:#12734a;--okbg:#dcf5e8;--busy:#8a5300;--busybg:#fdeecd;--bad:#b3261e;--badbg:#fde3e1;--mutedbg:#eceef3}
@media(prefers-color-scheme:dark){:root{--bg:#11131a;--card:#1a1d27;--ink:#e8eaf2;--soft:#9aa2b8;--line:#2a2e3c;
--brand:#a99dff;--ok:#6fe0aa;--okbg:#123826;--busy:#f5c56b;--busybg:#3d2c0b;--bad:#ff9c95;--badbg:#45201d;--mutedbg:#2a2e3c}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
header{background:var(--card);border-bottom:1px solid var(--line)}
.bar{max-width:1120px;margin:auto;padding:14px 20px;display:flex;gap:12px;align-items:center}
.bar h1{font-size:17px;margin:0}.bar i{width:12px;height:12px;border-radius:4px;background:var(--brand)}
.bar span{margin-left:auto;color:var(--soft);font-size:13px}main{max-width:1120px;margin:auto;padding:18px 20px 48px}
.note{color:var(--soft);font-size:13px;margin:0 0 12px}
.tiles{display:grid;grid-template-columns:repeat(6,1fr);gap:12px;margin-bottom:18px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tile{padding:12px 14px}.tile span{display:block;color:var(--soft);font-size:12.5px}
.tile strong{font-size:22px;font-variant-numeric:tabular-nums}.tile.bad strong{color:var(--bad)}
section{margin-bottom:18px;overflow:hidden}
h2{font-size:15px;margin:0;padding:13px 16px;border-bottom:1px solid var(--line)}
h2 small{font-weight:400;color:var(--soft);margin-left:10px}code{font:12.5px/1.4 ui-monospace,monospace}
table{width:100%;border-collapse:collapse}th{font-size:12px;font-weight:600;color:var(--soft);text-align:left}
th,td{padding:9px 16px;border-bottom:1px solid var(--line);vertical-align:top}tbody tr:last-child td{border-bottom:0}
.number{text-align:right;font-variant-numeric:tabular-nums}
td small,li small{display:block;color:var(--soft);font-size:12.5px}
td{overflow-wrap:anywhere}table{table-layout:fixed}th:last-child,td:last-child{text-align:right}
.audiences th:nth-child(1){width:42%}.audiences th:nth-child(2){width:18%}.audiences th:nth-child(3){width:14%}
.log th:nth-child(1){width:12%}.log th:nth-child(2){width:42%}.log th:nth-child(3){width:14%}
.zero{color:var(--soft)}.tile.good strong{color:var(--ok)}
.pill{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12.5px;
font-weight:600;white-space:nowrap;background:var(--mutedbg);color:var(--soft)}
.pill.ok{background:var(--okbg);color:var(--ok)}.pill.busy{background:var(--busybg);color:var(--busy)}
.pill.bad{background:var(--badbg);color:var(--bad)}.none{padding:16px;margin:0;color:var(--soft)}
.breaches{list-style:none;margin:0;padding:4px 16px}.breaches li{padding:8px 0;border-bottom:1px solid var(--line)}
.breaches li:last-child{border:0}.breaches b{color:var(--bad)}.empty{text-align:center;padding:56px 24px}
.empty h2{border:0;padding:8px 0 4px;font-size:18px}.empty p{color:var(--soft);max-width:46ch;margin:0 auto}
.empty svg{fill:none;stroke:var(--brand);stroke-width:2.5;stroke-linecap:round}
@media(max-width:720px){main{padding:14px 12px 40px}.tiles{grid-template-columns:repeat(3,1fr);gap:8px}
.tile strong{font-size:18px}h2 small{display:block;margin:2px 0 0}thead{display:none}
table,tbody,tr,td{display:block}tr{padding:10px 16px;border-bottom:1px solid var(--line)}tbody tr:last-child{border:0}
td{border:0;padding:2px 0;text-align:left}td[data-label]{display:flex;justify-content:space-between;gap:16px}
td[data-label]::before{content:attr(data-label);color:var(--soft);font-size:13px}
.log td[data-label=Items],.log td[data-label=ms],.log td[data-label=Account]{display:none}}
"""

_SCRIPT = """
const age = document.getElementById("age");
async function refresh() {
  try {
    const text = await (await fetch("/", {cache: "no-store"})).text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    const main = document.querySelector("main");
    if (fresh && fresh.innerHTML !== main.innerHTML) main.innerHTML = fresh.innerHTML;
    age.textContent = "live";
  } catch { age.textContent = "emulator not reachable"; }
}
setInterval(refresh, 2000);
"""

PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Batch emulator</title>
<link rel="icon" href="data:,"><style>{_STYLE}</style></head><body>
<header><div class="bar"><i></i><h1>Batch emulator</h1><span id="age">refreshes every 2 s</span></div></header>
<main>@@MAIN@@</main><script>{_SCRIPT}</script></body></html>"""
