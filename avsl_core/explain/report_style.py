"""The style of a report: quiet on the screen, whole on paper."""

__all__ = ["REPORT_CSS"]

REPORT_CSS = """
:root { color-scheme: light dark; --avsl-accent: #14697a; --avsl-ink: #1b2329; --avsl-muted: #58646e;
  --avsl-line: #dfe5e9; --avsl-track: #e9edf0; --avsl-page: #fff; --avsl-together: #1b5eaa;
    --avsl-apart: #b84a00; --avsl-card: var(--avsl-page); }
@media (prefers-color-scheme: dark) { :root { --avsl-accent: #5fb4c3; --avsl-ink: #e8edf0;
  --avsl-muted: #9dabb5;
  --avsl-line: #2a343b; --avsl-track: #29333a; --avsl-page: #11161a; --avsl-together: #7fb2ee;
  --avsl-apart: #f3985a; } }
* { box-sizing: border-box; }
body { max-width: 52rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; color: var(--avsl-ink);
  background: var(--avsl-page);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.35rem; line-height: 1.25; } header p { margin: .2rem 0 1.5rem;
  color: var(--avsl-muted); }
h2 { margin: 2.25rem 0 .75rem; font-size: 1.15rem; } h3 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
h2.method { margin-top: 3rem; padding-top: 1.5rem; border-top: 2px solid var(--avsl-line); }
img { display: block; width: 100%; height: auto; border-radius: .6rem; } figure { margin: 0; }
figcaption { padding: .4rem 0 0; font-size: .93rem; line-height: 1.35; }
figcaption small, .note { display: block; color: var(--avsl-muted); font-size: .88rem; }
.pictures, .pair { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; } .pair { gap: .4rem; }
.words { margin: 1.75rem 0 .25rem; font-size: 2.1rem; font-weight: 680; line-height: 1.15;
  color: var(--avsl-accent); }
.verdict p { margin: .3rem 0; } .verdict .words { margin-top: 1.75rem; }
.distance strong { font-size: 1.6rem; font-variant-numeric: tabular-nums; }
.verdict small { color: var(--avsl-muted); font-size: .9rem; }
.total { margin: 1rem 0 1.5rem; } .total > figure + figure, .total table + figure { margin-top: 1.25rem; }
.parts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.25rem 1rem; }
.avsl-table, .cells { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
.avsl-table { width: 100%; } .avsl-table caption { padding: .25rem 0; text-align: left;
  color: var(--avsl-muted); }
.avsl-table th, .avsl-table td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--avsl-line);
  text-align: left;
  font-weight: 400; vertical-align: top; }
.avsl-table thead th { color: var(--avsl-muted); } .avsl-table small { display: block;
  color: var(--avsl-muted); }
.gates { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem; }
.gates svg { display: block; width: 100%; } .gates rect { fill: var(--avsl-accent); opacity: .75; }
.gates path { stroke: var(--avsl-muted); fill: none; } .gates text { fill: var(--avsl-muted);
  font-size: 12px; }
details { margin-top: .75rem; } summary { cursor: pointer; color: var(--avsl-accent); font-weight: 550; }
:focus-visible { outline: 3px solid var(--avsl-accent); outline-offset: 2px; }
.scroll { overflow-x: auto; margin-top: .5rem; } .cells { font-size: .72rem; }
.cells td { padding: .1rem .35rem; text-align: right; white-space: nowrap; }
.reading { margin: 0; padding-left: 1.2rem; } .reading li { margin: .3rem 0; }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--avsl-line);
  color: var(--avsl-muted); font-size: .88rem; }
footer p { margin: .25rem 0; }
@page { size: A4; margin: 16mm; }
@media print {
  :root { color-scheme: light; --avsl-accent: #14697a; --avsl-ink: #1b2329; --avsl-muted: #58646e;
    --avsl-line: #dfe5e9;
    --avsl-track: #e9edf0; --avsl-page: #fff; --avsl-together: #1b5eaa; --avsl-apart: #b84a00; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  figure, tr, .verdict, .gates figure { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .pictures { max-width: 130mm; } .total { max-width: 130mm; } .parts { grid-template-columns: 1fr 1fr; }
  details:not([open]) { display: none; }
}
"""
"""Its variables are those of :data:`avsl_core.explain.bars.BARS_CSS`."""
