"""Charts that are small enough for Dagster to show without a click."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from dfp_platform.reports.axes import linear_axis, share_axis
from dfp_platform.reports.charts import Chart, Series, bar_chart, column_chart, histogram, interval_chart, line_chart
from dfp_platform.reports.figures import names_axis
from dfp_platform.reports.standalone import _STYLE
from dfp_platform.reports.thumbnails import COLOURS, MOST, bar_thumbnail, thumbnail

SVG = "{http://www.w3.org/2000/svg}"
MANY = [(float(i), 0.6 + (i * 7 % 11) / 30 if i % 9 else None) for i in range(120)]


def drawn(markdown: str) -> ElementTree.Element:
    """The image of a thumbnail, which is Markdown with an address that no bracket or space breaks."""
    found = re.fullmatch(r"!\[[^\]]*\]\(data:image/svg\+xml,([^\s()\[\]\"&#*]+)\)", markdown)
    assert found is not None, markdown
    assert len(markdown) <= MOST
    assert markdown.isascii()
    return ElementTree.fromstring(unquote(found[1]))


def texts(root: ElementTree.Element) -> str:
    return "|".join(root.itertext())


def lines(count: int, points: list[tuple[float, float | None]] = MANY) -> Chart:
    series = [Series(f"model {i} (a & b)", "model-0", points) for i in range(count)]
    x = names_axis([f"{2010 + i // 12}-{i % 12 + 1:02d}" for i in range(120)], "month")
    return line_chart(series, x=x, y=share_axis("ROC-AUC", low=0.5), title="t")


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_lines_fit_however_many_there_are_and_those_left_out_are_counted(count: int) -> None:
    root = drawn(thumbnail(lines(count), title="ROC-AUC by month"))
    shown = root.findall(f"{SVG}g/{SVG}path")
    assert 1 <= len(shown) <= count
    assert ("+" in texts(root)) == (len(shown) < count)
    if len(shown) < count:
        assert f"+{count - len(shown)}" in texts(root)
    assert {"0.5", "1", "2010-01"} <= set(texts(root).split("|"))
    wide = int(root.attrib["width"])
    assert all(int(text.attrib.get("x", 0)) + 6 * len("".join(text.itertext())) <= wide for text in root if text.text)


def test_a_gap_stays_a_gap_and_a_lone_point_is_seen() -> None:
    points = [(0.0, 0.9), (1.0, None), (2.0, 0.8), (3.0, 0.7)]
    (path,) = drawn(thumbnail(lines(1, points), title="t")).findall(f"{SVG}g/{SVG}path")
    assert re.fullmatch(r"M[\d,]+h2M[\d,]+L[\d,]+", path.attrib["d"])


def test_higher_is_higher() -> None:
    (path,) = drawn(thumbnail(lines(1, [(0.0, 0.5), (119.0, 1.0)]), title="t")).findall(f"{SVG}g/{SVG}path")
    (left, low), (right, high) = (map(int, point.split(",")) for point in path.attrib["d"][1:].split("L"))
    assert right > left
    assert high < low, "an SVG counts from the top down"


def test_bars_are_as_long_as_their_values_and_say_them() -> None:
    root = drawn(bar_thumbnail([("a", 10.0, "10 µs"), ("b", 5.0, "5 µs"), ("c", 0.0, "none")], title="t"))
    longest, half, least = map(int, re.findall(r"h(\d+)", root.findall(f"{SVG}path")[0].attrib["d"]))
    assert longest == pytest.approx(2 * half, abs=1)
    assert least == 1, "a bar of nothing is seen"
    assert "a|10 µs|b|5 µs|c|none" in texts(root)


def test_rows_that_do_not_fit_are_counted() -> None:
    root = drawn(bar_thumbnail([(f"executorch in int8_static {i}", float(i), "12.3 µs") for i in range(30)], title="t"))
    assert re.search(r"and \d\d more", texts(root))


def test_every_kind_of_chart_has_a_thumbnail() -> None:
    two = [Series("benign", "benign", [(0.0, 1.0), (1.0, 2.0)]), Series("malware", "malware", [(0.0, 2.0), (1.0, 0.0)])]
    axis = linear_axis("apps", 0, 4)
    charts = {
        "columns": column_chart(["2019", "2020"], two, y=axis, x_label="year", title="t"),
        "histogram": histogram([0, 0.5, 1], two, x=share_axis("score"), y=axis, mark=(0.5, "threshold"), title="t"),
        "bars": bar_chart([("a", [1.0, 2.0])], [("p50", "p50"), ("p99", "p99")], x=axis, title="t", unit="µs"),
        "intervals": interval_chart([("a", "model-0", 0.9, (0.8, 1.0)), ("b", "", None, None)], x=axis, title="t"),
    }
    told = {name: texts(drawn(thumbnail(chart, title=name))) for name, chart in charts.items()}
    assert "2019" in told["columns"]
    assert "benign" in told["histogram"]
    assert "1.0 µs" in told["bars"]
    assert "0.900" in told["intervals"]
    assert "too few apps" in told["intervals"]


def test_equal_charts_are_equal_bytes_and_wear_the_colours_of_the_page() -> None:
    assert thumbnail(lines(2), title="t") == thumbnail(lines(2), title="t")
    of_the_page = dict(re.findall(r"--(model-\d): (#\w+);", _STYLE.read_text().split("prefers-color-scheme")[0]))
    assert [of_the_page[f"model-{i}"] for i in range(8)] == list(COLOURS)
