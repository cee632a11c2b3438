"""Charts that stand alone: for places that show an image but know nothing of the page, such as asset metadata."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from dfp_platform.reports.charts import Chart

_LEGEND_HEIGHT = 24
_STYLE = Path(__file__).with_name("page.css")


def as_markdown(chart: Chart, *, title: str) -> str:
    """A chart as a Markdown image with its style, legend and white ground inside."""
    encoded = base64.b64encode(standalone_svg(chart).encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{encoded})"


def standalone_svg(chart: Chart) -> str:
    """A chart as an SVG document of its own, in the page's light colours."""
    found = re.match(r'<svg[^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>(.*)</svg>\s*$', chart.svg, re.DOTALL)
    if found is None:
        raise ValueError("a chart is one <svg> element with a viewBox from 0 0")
    width, height, drawing = float(found[1]), float(found[2]), found[3]
    wide, high = f"{width:g}", f"{height + _LEGEND_HEIGHT:g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">'
        f"<style>{_light_style()}</style><rect width='100%' height='100%' fill='#fff'/>"
        f'{_legend(chart)}<g transform="translate(0 {_LEGEND_HEIGHT})">{drawing}</g></svg>'
    )


def _legend(chart: Chart) -> str:
    parts, x = [], 24
    for style, name in chart.legend:
        parts.append(f'<rect class="bar {style}" x="{x}" y="7" width="11" height="11" rx="3"/>')
        parts.append(f'<text x="{x + 17}" y="17">{name}</text>')
        x += 40 + 7 * len(name)
    return "".join(parts)


def _light_style() -> str:
    """The page's rules for drawings and colours, without those for dark screens and print."""
    rules = _STYLE.read_text(encoding="utf-8")
    root = re.search(r":root\s*\{[^}]*\}", rules)
    drawing = re.findall(r"^(?:svg|\.(?:benign|malware|model-\d|p\d\d)) .*$", rules, re.MULTILINE)
    return "\n".join([root[0] if root else "", *drawing]).replace("width: 100%; height: auto;", "")
