"""`dfp trace`: from a file, table or model back to raw bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.lake import opened
from dfp_platform.cli.screen import Json, err, out, print_json, size
from dfp_platform.schemas import MAIN

if TYPE_CHECKING:
    from dfp_platform.resources.trace_targets import Target
    from dfp_platform.resources.tracing import Load, Step

RUN = 8
"""Letters of a run's id that tell it from others here."""

NARROWEST = 40
"""Letters that a line of a tree keeps for what it says, however deep it stands."""


def trace(
    target: Annotated[
        str,
        typer.Argument(
            help="A path in the lake (models/autoencoder, mobile/autoencoder_onnx/model.onnx), a table "
            "(marts.fct_training_dataset), a lake tag (model-autoencoder-v1-data), the id of an MLflow run or of a "
            "prediction."
        ),
    ],
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit at which a path or table is looked for.")] = (
        MAIN
    ),
    as_json: Json = False,
) -> None:
    """Walk back to raw bytes: each step with the commit and run that wrote exactly that content, code and parameters.

    What was read is followed as it was then, also where it has moved on since. What cannot be followed is said.
    """
    from dfp_platform.resources.trace_targets import resolve
    from dfp_platform.resources.tracing import gaps, traced

    lake = opened()
    found = resolve(lake, target, ref)
    steps = traced(lake, found.commit, found.asset)
    missing = gaps(steps)
    if as_json:
        return print_json(
            {"target": target, **asdict(found), "complete": not missing, "steps": list(map(_plain, steps))}
        )
    console = out()
    for line in (*_named(found), *drawn(steps, width=console.width if console.is_terminal else 0)):
        console.print(line, markup=False)
    console.print(_ended(steps), markup=False)
    if missing:
        err().print(f"{len(missing)} of {len(steps)} steps cannot be followed: {', '.join(s.asset for s in missing)}")
    return None


def _plain(step: Step) -> dict[str, Any]:
    loads = [{**asdict(load.origin), "commit": load.commit} for load in step.loads]
    return {**asdict(step), "loads": loads}


def _named(target: Target) -> Iterator[str]:
    if target.file is not None:
        yield f"{target.file.path}  {size(target.file.size)}, sha256 {target.file.sha256}"
    if target.prediction is not None:
        yield from answered(target.prediction)


def answered(row: Mapping[str, Any]) -> Iterator[str]:
    """What a person reads of one prediction: what was asked, what was answered by whom, and from which features."""
    yield f"{row['prediction_id']}  {row['time']:%Y-%m-%d %H:%M:%S} UTC, in {row['found']}"
    yield f"app {row['sha256'] or '(not named)'}, request {row['request_id']}, {row['latency_ms']:.1f} ms"
    error = row["reconstruction_error"]
    told = f"score {row['score']:.6g}, {'malware' if row['label'] else 'no malware'} (threshold {row['threshold']:.6g})"
    yield told + (f", reconstruction error {error:.6g}" if error is not None else "")
    version = f" {row['model_version']}" if row["model_version"] else ""
    yield f"by {row['model']}{version}, {row['role']}, loaded from {row['artifact']} at {row['lake_commit'][:12]}"
    known = sum(value is not None for value in row["vector"].values())
    values = f"{known} of {len(row['vector'])} features known"
    if row["features_commit"]:
        yield f"{values}, from the online version {row['features_from']}, switched by {row['features_commit'][:12]}"
        yield f"  which came from: dfp trace features/online --ref {row['features_commit']}"
    else:
        yield f"{values}, sent with the request"


def drawn(steps: Sequence[Step], *, width: int = 0) -> Iterator[str]:
    """A trace as the lines of a tree; a step that several others read is drawn once, and named where it comes again.

    Args:
        steps: as `tracing.traced` gives them: the first is the root.
        width: letters of a line; 0: as long as need be.
    """
    known, told = {step.id: step for step in steps}, set[str]()
    waiting = [(steps[0].id, "", "", steps[0].id)]
    while waiting:
        name, first, rest, reader = waiting.pop()
        step = known[name]
        again = name in told
        inputs = () if again else step.inputs
        lines = [f"{step.asset}  (above)"] if again else list(_lines(step, known[reader]))
        told.add(name)
        yield first + lines[0]
        inside = rest + ("│  " if inputs else "   ")
        for line in lines[1:]:
            yield from _wrapped(line, inside, width)
        branches = [("└─ ", "   ") if last else ("├─ ", "│  ") for last in _ends(len(inputs))]
        nested = [
            (name, rest + own, rest + under, step.id) for name, (own, under) in zip(inputs, branches, strict=True)
        ]
        waiting.extend(reversed(nested))


def _ended(steps: Sequence[Step]) -> str:
    """Where a trace has led to, and the runs whose ids are cut short in the tree."""
    loads = {(load.commit, load.origin.load_id): load.origin.rows for step in steps for load in step.loads}
    rows = sum(loads.values())
    runs = dict.fromkeys(step.run for step in steps if step.run)
    return f"{len(steps)} steps back to {rows:,} raw rows" + (f", made by run {', run '.join(runs)}" if runs else "")


def _ends(count: int) -> list[bool]:
    return [number == count - 1 for number in range(count)]


def _wrapped(line: str, before: str, width: int) -> Iterator[str]:
    if not width:
        yield before + line
        return
    room = max(NARROWEST, width - len(before))
    for part in textwrap.wrap(line, room, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False):
        yield before + part


def _lines(step: Step, reader: Step) -> Iterator[str]:
    """What a person reads of one step: its name, then who wrote it, how, and what is missing."""
    part = (", one side" if reader.kind == "merged" else ", as it was before") if _made_of_itself(step, reader) else ""
    yield f"{step.asset}  (content {step.content[:12]}{part})"
    if step.commit is not None:
        how = {"merged": "merged by commit", "unrecorded": "written by commit"}.get(step.kind, "commit")
        facts = [f"{how} {step.commit[:12]}", f"{step.time:%Y-%m-%d %H:%M:%S} UTC"]
        facts += [f"run {step.run[:RUN]}"] if step.run else []
        facts += [f"code {step.code_version[:12]}"] if step.code_version else []
        yield ", ".join(facts + [f"{name} {_value(value)}" for name, value in sorted(step.more.items())])
    if told := list(_flat(step.config)):
        yield "told " + " ".join(told)
    if step.absent:
        yield f"not there then: {', '.join(step.absent)}"
    for load in step.loads:
        yield from _load_lines(load)
    if step.remark:
        yield f"! {step.remark}"


def _made_of_itself(step: Step, reader: Step) -> bool:
    return step.asset == reader.asset and step.id != reader.id


def _flat(config: Any, above: str = "") -> Iterator[str]:
    for name, value in sorted(config.items()):
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}={_value(value)}"


def _value(value: Any) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, list) else str(value)


def _load_lines(load: Load) -> Iterator[str]:
    origin = load.origin
    yield f"load {origin.load_id or '1'}: {origin.rows:,} rows from {origin.source}, landed by {load.commit[:12]}"
    for file in origin.files:
        yield f"read {file.name}, {size(file.size)}, sha256 {file.sha256}"
    if origin.note and (origin.synthetic or not origin.files):
        yield origin.note


def register(app: Any) -> None:
    """Add these commands to `dfp`."""
    app.command()(trace)
