"""Charts outside the page."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

from dfp_platform.reports.figures import latency_chart
from dfp_platform.reports.standalone import as_markdown, standalone_svg

ROWS = [{"runtime": "ONNX Runtime", "model": "autoencoder", "p50_us": 10.0, "p90_us": 20.0, "p99_us": 30.0}]


def test_a_standalone_chart_is_well_formed_and_brings_its_style_and_legend() -> None:
    svg = standalone_svg(latency_chart(ROWS))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "--p99: #" in svg, "colours come along"
    assert "prefers-color-scheme" not in svg, "the ground is white, so the colours are the light ones"
    assert {"p50", "p90", "p99"} <= {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}


def test_a_chart_in_markdown_is_one_image_of_equal_bytes() -> None:
    first, second = (as_markdown(latency_chart(ROWS), title="latency") for _ in range(2))
    assert first == second
    assert first.startswith("![latency](data:image/svg+xml;base64,")
    assert base64.b64decode(first.split(",", 1)[1].rstrip(")")).startswith(b"<svg")
