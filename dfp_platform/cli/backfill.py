"""`dfp backfill`: some partitions of an asset made again, in one run or in several at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli import code_location
from dfp_platform.cli.runs import Branch, launched, report, told_by
from dfp_platform.cli.screen import Json, err, out, print_json
from dfp_platform.cli.selection import between, partitioned
from dfp_platform.errors import HeldBackError

if TYPE_CHECKING:
    from dfp_platform.resources.dagster_partitions import Span


def backfill(
    asset: Annotated[str, typer.Argument(help="A partitioned asset, by its key or the last part of it.")],
    first: Annotated[str | None, typer.Option("--from", help="First partition, 2012-01; without: the oldest.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last partition; without: the youngest.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Split the partitions over this many runs that work at once.")] = 1,
    branch: Branch = None,
    as_json: Json = False,
) -> None:
    """Make partitions of an asset again from its published inputs; each run publishes what it made in one commit."""
    known = code_location.partitions()
    key = partitioned(asset, known)
    spans = [*split(between(known[key], first, last), runs)]
    if len(spans) == 1:
        report(launched([key], told_by(), branch=branch, partitions=spans[0]), as_json=as_json)
        return
    from concurrent.futures import ThreadPoolExecutor

    with code_location.instance(), ThreadPoolExecutor(len(spans)) as at_once:
        ended = list(at_once.map(lambda span: _in_a_process(key, span, branch), spans))
    if as_json:
        print_json([outcome for outcome, _ in ended])
    for (_, said), span in zip(ended, spans, strict=True):
        told = err() if said or as_json else out()
        told.print(f"{span.first} to {span.last}: {said or 'published'}")
    if failed := sum(bool(said) for _, said in ended):
        raise HeldBackError(
            f"{failed} of {len(spans)} runs were not published",
            hint="see above; the others are published. Mend the cause, then backfill those partitions again",
            run_id="",
            branch="",
            reasons=[],
        )


def split(partitions: Sequence[str], runs: int) -> Iterator[Span]:
    """Neighbouring partitions in as many spans as runs, or as there are partitions; lengths differ by one at most."""
    from dfp_platform.resources.dagster_partitions import Span

    runs = min(runs, len(partitions))
    bounds = [number * len(partitions) // runs for number in range(runs + 1)]
    for begin, end in pairwise(bounds):
        yield Span(partitions[begin], partitions[end - 1])


def _in_a_process(key: str, span: Span, branch: str | None) -> tuple[Any, str]:
    """The outcome of one run in a process of its own, and what it said if it was not published."""
    import subprocess

    command = [sys.executable, "-m", "dfp_platform.cli", "backfill", key, "--from", span.first, "--to", span.last]
    done = subprocess.run(
        [*command, *(["--branch", branch] if branch else []), "--json"], capture_output=True, text=True, check=False
    )
    outcome = json.loads(done.stdout) if done.stdout.strip() else None
    return outcome, "" if done.returncode == 0 else done.stderr.strip()[-2_000:]


def register(app: Any) -> None:
    """Add this command to `dfp`."""
    app.command()(backfill)
