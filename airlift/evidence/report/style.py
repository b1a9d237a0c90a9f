"""The style sheet of the report: for screens of 390 to 1280 pixels and more, light and dark, and for paper."""

SHEET = """
:root { color-scheme: light dark; --ink: #16202c; --soft: #4a5868; --line: #ccd4dd; --paper: #fff; --tint: #f3f6f9;
  --good: #176338; --bad: #a81e1e; --link: #0b4f9c; --source: #eef1f4; --component: #e3eefb; --release: #e4f3e6;
  --bundle: #fbf0dc; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #aab6c3; --line: #3a4653; --paper: #11161c;
  --tint: #1a222b; --good: #7fd6a0; --bad: #ff9c94; --link: #8fc1ff; --source: #232b34; --component: #173049;
  --release: #17351f; --bundle: #3c2f14; } }
* { box-sizing: border-box; }
html { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
body { margin: 0; color: var(--ink); background: var(--paper); }
.marking { margin: 0; padding: 4px 12px; text-align: center; font-weight: 700; letter-spacing: .06em; color: #fff;
  background: #3c4650; }
.marking.unclassified { background: #00682b; } .marking.cui { background: #502b85; }
.marking.confidential { background: #0033a0; } .marking.secret { background: #a50d26; }
.marking.top-secret { background: #ffb000; color: #000; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 8px; top: 8px; padding: 6px 10px; z-index: 2;
  background: var(--paper); color: var(--link); }
header, main { max-width: 1180px; margin: 0 auto; padding: 0 20px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 22px 0 4px; }
h2 { font-size: 1.2rem; margin: 34px 0 10px; padding-bottom: 4px; border-bottom: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 18px 0 6px; }
.lead { color: var(--soft); margin: 0 0 14px; }
nav ul { list-style: none; padding: 0; margin: 0 0 4px; display: flex; flex-wrap: wrap; gap: 4px 16px; }
a { color: var(--link); }
dl { margin: 0 0 14px; display: grid; gap: 2px 0; }
dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: 12px; padding: 3px 0; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0 0 16px; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; color: var(--soft); padding: 0 0 6px; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); }
thead th { border-bottom-width: 2px; white-space: nowrap; } tbody th { font-weight: 600; }
td, tbody th { overflow-wrap: break-word; }
code, pre { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.digest { overflow-wrap: anywhere; }
pre { margin: 0 0 14px; padding: 12px; background: var(--tint); border: 1px solid var(--line); border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.warnings { margin: 0 0 16px; padding: 10px 16px 10px 34px; background: var(--tint);
  border-left: 4px solid var(--bad); }
.fine { border-left-color: var(--good); padding-left: 16px; list-style: none; }
.yes { color: var(--good); font-weight: 600; } .no { color: var(--bad); font-weight: 600; }
.none { color: var(--soft); }
svg { display: block; } svg text { font: 12px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif;
  fill: var(--ink); }
svg .head { fill: var(--soft); } svg .name { font-weight: 600; } svg .index { fill: var(--soft); font-size: 11px; }
.box rect { fill: var(--source); stroke: var(--soft); stroke-width: 1; }
.box.component rect { fill: var(--component); } .box.release rect { fill: var(--release); stroke-width: 2; }
.box.bundle rect { fill: var(--bundle); } .box.base rect { stroke-dasharray: 4 3; }
.link { fill: none; stroke: var(--soft); stroke-width: 1.3; opacity: .75; }
.lane { stroke: var(--line); }
.mark circle, .mark path, .mark rect { fill: var(--component); stroke: var(--ink); stroke-width: 1.4; }
.mark.import-reject path { stroke: var(--bad); stroke-width: 2.6; fill: none; }
.mark.activate-commit path { fill: var(--good); } .mark.rollback-commit path { fill: var(--bundle); }
.span rect { fill: var(--release); stroke: var(--soft); }
footer { margin-top: 36px; }
@media (max-width: 640px) { header, main { padding: 0 14px; } dl > div { grid-template-columns: 1fr; gap: 0; }
  h1 { font-size: 1.35rem; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --line: #999; --paper: #fff; --tint: #fff;
  --good: #000; --bad: #000; --link: #000; --source: #fff; --component: #fff; --release: #fff; --bundle: #fff; }
  html { font-size: 10.5px; } header, main { max-width: none; padding: 0; } nav, .skip { display: none; }
  .scroll { overflow: visible; } svg { width: 100%; height: auto; } tr, dl > div, svg, .box { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; } thead { display: table-header-group; } .marking { border: 1px solid #000; }
  .marking, .box rect { print-color-adjust: exact; } a { text-decoration: none; } }
"""


def sheet(marking: str) -> str:
    """Return the style sheet with the marking at the head and foot of every printed page."""
    shown = "".join(c if c.isalnum() or c in " -" else f"\\{ord(c):06x}" for c in marking)
    boxes = "".join(
        f'@{place} {{ content: "{shown}"; font: 700 9pt sans-serif; }} '
        for place in ("top-center", "bottom-center")
    )
    number = '@bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; }'
    return f"@page {{ margin: 16mm 12mm; {boxes}{number} }}\n{SHEET}"
