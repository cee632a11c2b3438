"""Rows of the benchmark as JSON → the page on devices, runtimes and precisions, and which artifact to take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dfp_platform.reports.axes import Axis, linear_axis, log_axis
from dfp_platform.reports.charts import Chart, Series, bar_chart, line_chart
from dfp_platform.reports.figures import PERCENTILES, model_style
from dfp_platform.reports.glossary import GLOSSARY, ON_PHONES
from dfp_platform.reports.inputs import Json
from dfp_platform.reports.templates import STYLE_SHEET, environment

KINDS = {"phone": "Phones", "emulator": "Emulators", "host": "This computer"}
"""Where rows are measured, from what matters down; never mixed."""

ROC_AUC_LOSS = 0.01
TIE = 0.1
RULE = (
    "Of the rows that were measured quietly, whose artifact holds parity and loses at most "
    f"{ROC_AUC_LOSS:g} of the original's ROC-AUC, take the one with the smallest p99; among those within {TIE:.0%} of "
    "it, the smallest file."
)

WORDS = ("p50, p90, p99", "ROC-AUC", "AP, average precision", "Parity", "Lake commit")
"""Words of the glossary that the page uses, beside its own."""


def phones_report(rows: Iterable[Json], quality: Iterable[Json], *, synthetic: bool) -> dict[str, Any]:
    """What the page tells, as JSON: rows with the quality of their artifact, and a choice a place and model.

    Args:
        rows: `mobile.row.BenchmarkRow` as JSON, of any kind and device.
        quality: `mobile.host.Quality` as JSON; it belongs to bytes, so a phone's row has it if it ran the same ones.
        synthetic: whether models were trained on generated apps.
    """
    known = {(each["artifact"], each["artifact_sha256"]): each for each in quality}
    joined: list[dict[str, Any]] = [
        {**row, "quality": known.get((row["artifact"], row["artifact_sha256"]))} for row in rows
    ]
    joined.sort(key=lambda row: (list(KINDS).index(row["kind"]), row["device"], row["model"], row["artifact"]))
    return {
        "rule": RULE,
        "rows": joined,
        "choices": [chosen(own) for own in _places(joined).values()],
        "synthetic": synthetic,
    }


def chosen(rows: Sequence[Json]) -> dict[str, Any]:
    """The artifact to take on one device for one model, by `RULE`, and a sentence; none fits: the reason."""
    first = rows[0]
    told = {"kind": first["kind"], "place": first["device"], "model": first["model"], "artifact": None}
    fit = [row for row in rows if _fits(row)]
    if not fit:
        quiet = any(row["valid"] for row in rows)
        why = "no quietly measured artifact is as good as its original" if quiet else "every measurement was disturbed"
        return {**told, "sentence": f"No choice for {first['model']}: {why}."}
    least = min(row["p99_us"] for row in fit)
    best = min(
        (row for row in fit if row["p99_us"] <= least * (1 + TIE)), key=lambda row: (row["size_bytes"], row["p99_us"])
    )
    return {
        **told,
        "artifact": best["artifact"],
        "artifact_sha256": best["artifact_sha256"],
        "sentence": f"For {best['model']} take {best['runtime']} in {best['precision']}: "
        f"p99 of {best['p99_us']:,.1f} µs, {best['size_bytes'] / 1e3:.0f} kB.",
    }


def render_phones(report: Json, *, machine: Json, content: str) -> bytes:
    """The page as UTF-8 bytes; equal inputs are equal bytes.

    Args:
        report: what `phones_report` gives.
        machine: `mobile.machine.Machine` as JSON, of the rows of this computer.
        content: content id of the host's rows in the lake; it names the page.
    """
    rows = report["rows"]
    sections = [
        {"kind": kind, "title": title, "places": _sections([row for row in rows if row["kind"] == kind], report)}
        for kind, title in KINDS.items()
    ]
    page = (
        environment(duration=_duration, times=_times)
        .get_template("phones.html.j2")
        .render(
            content=content,
            synthetic=report["synthetic"],
            rule=report["rule"],
            machine=machine,
            sections=sections,
            words={**ON_PHONES, **{word: GLOSSARY[word] for word in WORDS}},
            style_sheet=STYLE_SHEET.read_text(encoding="utf-8"),
        )
    )
    return (page.rstrip() + "\n").encode()


def benchmark_chart(rows: Sequence[Json]) -> Chart:
    """Microseconds for one app at p50, p90 and p99, every artifact, on a log axis where they are far apart."""
    bars = [(f"{row['runtime']} · {row['precision']}", [row[f"{name}_us"] for _, name in PERCENTILES]) for row in rows]
    values = [value for _, some in bars for value in some]
    x = _axis("microseconds for one app", values)
    return bar_chart(bars, PERCENTILES, x=x, title="Latency of one app", unit="µs")


def scatter(rows: Sequence[Json], *, x: tuple[str, str, float], y: tuple[str, str, float], title: str) -> Chart:
    """One dot an artifact, coloured by its runtime; both axes are a key, a label and what the figure is divided by."""
    known = [row for row in rows if row.get(x[0]) is not None and row.get(y[0]) is not None]
    series = []
    for place, runtime in enumerate(dict.fromkeys(row["runtime"] for row in rows)):
        dots: list[tuple[float, float | None]] = []
        for row in known:
            if row["runtime"] == runtime:  # the gap keeps dots from being joined
                dots += [(row[x[0]] / x[2], row[y[0]] / y[2]), (0.0, None)]
        series.append(Series(runtime, model_style(place), dots, markers=True))
    across, up = (_axis(label, [row[key] / unit for row in known]) for key, label, unit in (x, y))
    return line_chart(series, x=across, y=up, title=title)


def _fits(row: Json) -> bool:
    quality = row["quality"]
    if not (row["valid"] and quality and quality["parity"]["passed"]):
        return False
    change = quality["parity"]["roc_auc_change"]
    return row["precision"] == "fp32" if change is None else change >= -ROC_AUC_LOSS


def _places(rows: Sequence[Json]) -> dict[tuple[str, str, str], list[Json]]:
    places: dict[tuple[str, str, str], list[Json]] = {}
    for row in rows:
        places.setdefault((row["kind"], row["device"], row["model"]), []).append(row)
    return places


def _sections(rows: Sequence[Json], report: Json) -> list[dict[str, Any]]:
    """A section of the page a device and model."""
    choices = {(each["kind"], each["place"], each["model"]): each for each in report["choices"]}
    return [_section(own, choices[place]) for place, own in _places(rows).items()]


def _section(rows: Sequence[Json], choice: Json) -> dict[str, Any]:
    whole = {row["exporter"]: row["size_bytes"] for row in rows if row["precision"] == "fp32"}
    styles = {name: model_style(place) for place, name in enumerate(dict.fromkeys(row["runtime"] for row in rows))}
    shown = [
        {
            **row,
            "style": styles[row["runtime"]],
            "chosen": (row["artifact"], row["artifact_sha256"]) == (choice["artifact"], choice.get("artifact_sha256")),
            "of_fp32": row["size_bytes"] / whole[row["exporter"]] if row["exporter"] in whole else None,
            "memory": _memory(row),
        }
        for row in rows
    ]
    return {
        "device": rows[0]["device"],
        "soc": rows[0]["soc"],
        "os_build": rows[0]["os_build"],
        "model": rows[0]["model"],
        "choice": choice,
        "rows": shown,
        "floor": next((row["floor_p50_us"] for row in rows if row["floor_p50_us"] is not None), None),
        "charts": {
            "latency": benchmark_chart(rows),
            "size": scatter(
                rows, x=("size_bytes", "model file, kB", 1e3), y=("p50_us", "p50, µs", 1), title="Size and latency"
            ),
            "load": scatter(
                shown, x=("cold_load_ms", "cold load, ms", 1), y=("memory", "memory, MB", 1e6), title="Load and memory"
            ),
        },
    }


def _memory(row: Json) -> int | None:
    """What loading and answering add; of a device that does not tell that apart, the whole process."""
    peak = row["peak_memory_bytes"]
    return None if peak is None else peak - (row["baseline_memory_bytes"] or 0)


def _axis(label: str, values: Sequence[float]) -> Axis:
    least, top = min(values, default=1.0), max(values, default=1.0)
    if top > 40 * least > 0:
        return log_axis(f"{label} (log)", least / 2, top * 1.6)
    return linear_axis(label, 0, top * 1.08)


def _duration(micros: float | None) -> str:
    """Microseconds, to a tenth where they are few; what is not known is a dash."""
    if micros is None:
        return "–"
    return f"{micros:,.1f}" if micros < 1_000 else f"{micros:,.0f}"


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.1f}\u00a0×"
