"""dbt as a step of a run: one process that works on an ephemeral branch, merged once every model is built."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource

from dfp_platform.catalog import content_at
from dfp_platform.errors import ConfigurationError, PermanentError, TransientError
from dfp_platform.resources.column_lineage import CompiledModel, as_metadata, column_lineage, compiled_models
from dfp_platform.resources.dagster_internals import (
    latest_data_versions,
    materialization,
    output_with_content,
    path_of,
    step_graph,
)
from dfp_platform.resources.dagster_partitions import Span, partitions_of, span_of
from dfp_platform.resources.dbt_docs import describe_models
from dfp_platform.resources.dbt_tests import failing_queries, judged
from dfp_platform.resources.engines import ENGINES, parse_target
from dfp_platform.resources.environment import environment
from dfp_platform.resources.lake import LakeResource, lineage_of
from dfp_platform.resources.lineage import lineage_at
from dfp_platform.settings import PROJECT_ROOT, settings

PROJECT = PROJECT_ROOT / "dbt_project"
_PROJECT = "dbt_project"
"""In the lineage of a table: which version of the project, and of dbt, built it."""


class DbtResource(dg.ConfigurableResource):
    """The dbt project on the run's branch."""

    lake: dg.ResourceDependency[LakeResource]

    def build(self, context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build and test the selected models; yield what dbt did as Dagster events, each model with its content id.

        The models land on the run's branch together, once all were built. Failed tests do not keep them from it: a
        verdict belongs to the rows it judged, and a blocking one fails the step.

        Raises:
            PermanentError: a model could not be built; the branch is as it was.
        """
        lineage: dict[str, str] = {}
        span = _span(context)
        start = self.lake.store.resolve(self.lake.ref)
        with self.lake.store.transaction(self.lake.ref, message="dbt build", metadata=lineage) as branch:
            events, compiled, queries = self._invoke(
                context, branch, [*_times(context, span), *self._anew(context, branch, span)]
            )
            made = [path_of(context.asset_key_for_output(e.output_name)) for e in events if isinstance(e, dg.Output)]
            describe_models(self.lake.store, branch, manifest(), made)
            told = self._lineage(context, branch, made)
            if span is not None:
                parts = (asset for asset in made if content_at(self.lake.store, start, asset))  # others are built whole
                told |= {asset: told[asset] | {"partitions": [span.first, span.last]} for asset in parts}
            lineage["lineage"] = json.dumps(told, sort_keys=True)
        columns = self._columns(compiled)
        for event in events:
            if isinstance(event, dg.Output):
                yield from self._located(context, event, told, span, columns)
            else:
                yield judged(self.lake, event, queries) if isinstance(event, dg.AssetCheckResult) else event

    def _anew(self, context: dg.AssetExecutionContext, branch: str, span: Span | None) -> list[str]:
        """Tables that an older version of the SQL made get no increment; single partitions are whole in themselves."""
        assets = map(path_of, context.selected_asset_keys)
        built_by = {lineage_at(self.lake.store, branch, asset).get(_PROJECT) for asset in assets if span is None}
        return ["--full-refresh"] if built_by - {None, _fingerprint(settings().engine)} else []

    def _columns(self, compiled: Mapping[str, CompiledModel]) -> dict[str, dict[str, Any]]:
        """Metadata of each table that tells from which columns its own are made, where the SQL can be read."""
        from dfp_platform.catalog import open_catalog

        catalog = open_catalog(self.lake.store, self.lake.ref)
        read = {table for model in compiled.values() for table in model.reads if catalog.table_exists(table)}
        known = {table: catalog.load_table(table).schema().column_names for table in sorted(read)}
        found = {name: column_lineage(model.sql, known, engine=settings().engine) for name, model in compiled.items()}
        return {
            f"tables/{name.replace('.', '/')}": {"dagster/column_lineage": as_metadata(columns)}
            for name, columns in found.items()
            if columns
        }

    def _invoke(
        self, context: dg.AssetExecutionContext, branch: str, arguments: list[str]
    ) -> tuple[list[Any], dict[str, CompiledModel], dict[str, str]]:
        """What dbt did as Dagster events; what it compiled, by table; the queries of tests that found rows."""
        target = settings().home / "dbt" / "runs" / context.run.run_id
        target.mkdir(parents=True, exist_ok=True)
        parsed = manifest().with_name("partial_parse.msgpack")
        if parsed.exists():  # spares dbt the parse that `manifest` has done
            shutil.copy(parsed, target)
        with ENGINES[settings().engine](self.lake.store, branch) as engine:
            cli = DbtCliResource(
                project_dir=str(PROJECT),
                profiles_dir=str(PROJECT),
                dbt_executable=_program(engine.program or "dbt"),
                target=engine.name,
            )
            with environment({**engine.environment, "DFP_RUN": context.run.run_id}):
                invocation = cli.cli(["build", *arguments], context=context, raise_on_error=False, target_path=target)
            events = list(invocation.stream())
        _refuse_unbuilt(invocation)
        compiled = compiled_models(invocation.get_artifact("manifest.json"))
        queries = failing_queries(invocation)
        shutil.rmtree(target, ignore_errors=True)  # logs of a failed build stay
        return events, compiled, queries

    def _located(
        self,
        context: dg.AssetExecutionContext,
        event: dg.Output,
        lineage: Mapping[str, Any],
        span: Span | None,
        columns: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Any]:
        """The output with its place in the lake; of a partitioned asset what each partition of the span holds."""
        key = context.asset_key_for_output(event.output_name)
        asset = path_of(key)
        content = self.lake.content(asset)
        metadata = {**event.metadata, **columns.get(asset, {}), **self.lake.located(asset)}
        if partitions_of(context, key) is None:
            yield output_with_content(
                event.output_name, metadata=metadata | self.lake.table_metadata(asset), content=content
            )
            return
        shown = latest_data_versions(context.instance, list(lineage[asset]["inputs"]))
        stated = {
            "code_version": lineage[asset]["code_version"],
            "inputs": {
                dep: (v, shown[dep][1] if dep in shown else None) for dep, v in lineage[asset]["inputs"].items()
            },
        }
        if span is None:  # the pages of all partitions follow by `tell_partitions`: a record of each takes seconds
            yield materialization(asset, content=content, metadata=metadata | self.lake.table_metadata(asset), **stated)
            return
        from dfp_platform.catalog.partitions import partition_contents

        for part, held in partition_contents(self.lake.store, self.lake.ref, asset).items():
            if part in span:
                rows = {"dagster/partition_row_count": held.rows}
                yield materialization(asset, content=held.content, metadata=metadata | rows, partition=part, **stated)

    def _lineage(self, context: dg.AssetExecutionContext, branch: str, made: Iterable[str]) -> dict[str, Any]:
        told = lineage_of(self.lake.store, step_graph(context), branch, *made)
        return {asset: {**record, _PROJECT: _fingerprint(settings().engine)} for asset, record in told.items()}


def _span(context: dg.AssetExecutionContext) -> Span | None:
    """The partitions that a step makes; None: all, as where it makes tables too that have none and are inputs."""
    partitioned = [partitions_of(context, key) is not None for key in context.selected_asset_keys]
    return span_of(context.run) if partitioned and all(partitioned) else None


def _times(context: dg.AssetExecutionContext, span: Span | None) -> list[str]:
    """What dbt is told of the time that the models shall be built for."""
    if span is None:
        return []
    [definition, *_] = filter(None, (partitions_of(context, key) for key in context.selected_asset_keys))
    begin, end = (definition.time_window_for_partition_key(key) for key in (span.first, span.last))
    return ["--event-time-start", f"{begin.start:%Y-%m-%d}", "--event-time-end", f"{end.end:%Y-%m-%d}"]


def manifest() -> Path:
    """The parsed dbt project; parsed anew only when one of its files, or dbt itself, has changed."""
    engine = parse_target()
    place = settings().home / "dbt" / _fingerprint(engine.name) / "manifest.json"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    parsed = subprocess.run(
        [
            _program("dbt"),
            "--quiet",
            "parse",
            "--project-dir",
            PROJECT,
            "--profiles-dir",
            PROJECT,
            "--target",
            engine.name,
            "--target-path",
            place.parent,
        ],
        env={**os.environ, **engine.environment, "DBT_LOG_PATH": str(place.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if parsed.returncode or not place.exists():
        raise ConfigurationError(
            f"dbt cannot parse {PROJECT.name}: {(parsed.stdout + parsed.stderr).strip()[-2000:]}",
            hint=f"try it by hand: dbt parse --project-dir {PROJECT.name} --profiles-dir {PROJECT.name}",
            setting="dbt_project",
        )
    return place


def _fingerprint(target: str) -> str:
    digest = hashlib.sha256(f"{version('dbt-core')} {sys.version_info[:2]} {target}".encode())
    for path in sorted(PROJECT.rglob("*")):
        if path.suffix in (".sql", ".yml", ".csv") and not {"target", "logs"} & set(path.parts):
            digest.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _program(name: str) -> str:
    """A program of this environment, whatever PATH says."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def _refuse_unbuilt(invocation: DbtCliInvocation) -> None:
    """Raise if a model failed, or dbt itself. Tests that failed speak through their checks."""
    if not (invocation.target_path / "run_results.json").exists():
        raise TransientError(
            f"dbt ended with {invocation.process.returncode} before it could say what it built",
            hint="its last lines are in the log of this step",
        )
    results = invocation.get_artifact("run_results.json")["results"]
    broken = [r for r in results if r["status"] in ("error", "runtime error") and r["unique_id"].startswith("model.")]
    if broken:
        raise PermanentError(
            "; ".join(f"{r['unique_id'].split('.')[-1]}: {r['message']}" for r in broken),
            hint="run it by hand: dbt build --project-dir dbt_project --profiles-dir dbt_project",
            models=[r["unique_id"] for r in broken],
        )
