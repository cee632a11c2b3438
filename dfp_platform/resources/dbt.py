"""dbt as a step of a run: one process that works on an ephemeral branch, merged once every model is built."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource

from dfp_platform.errors import ConfigurationError, PermanentError
from dfp_platform.resources.dagster_internals import output_with_content, path_of, step_graph
from dfp_platform.resources.engines import ENGINES, parse_target
from dfp_platform.resources.lake import LakeResource, content_at
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
        with self.lake.store.transaction(self.lake.ref, message="dbt build", metadata=lineage) as branch:
            stale = self._built_by_another_project(map(path_of, context.selected_asset_keys), branch)
            invoked = self._invoke(context, branch, ["build", *(["--full-refresh"] if stale else [])])
            events = [self._located(context, event, branch) for event in invoked]
            made = [context.asset_key_for_output(e.output_name) for e in events if isinstance(e, dg.Output)]
            lineage["lineage"] = json.dumps(self._lineage(context, branch, map(path_of, made)), sort_keys=True)
        yield from events

    def _built_by_another_project(self, assets: Iterable[str], branch: str) -> bool:
        """Whether rows stand there that an older version of the SQL made: then no increment may be added to them."""
        built_by = {lineage_at(self.lake.store, branch, asset).get(_PROJECT) for asset in assets}
        return bool(built_by - {None, _fingerprint(settings().engine)})

    def _invoke(self, context: dg.AssetExecutionContext, branch: str, arguments: list[str]) -> Iterator[Any]:
        target = settings().home / "dbt" / "runs" / context.run.run_id
        target.mkdir(parents=True, exist_ok=True)
        parsed = manifest().with_name("partial_parse.msgpack")
        if parsed.exists():  # spares dbt the parse that `manifest` has done
            shutil.copy(parsed, target)
        with ENGINES[settings().engine](self.lake.store, branch) as engine:
            cli = DbtCliResource(
                project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=_dbt(), target=engine.name
            )
            with _environment(engine.environment):
                invocation = cli.cli(arguments, context=context, raise_on_error=False, target_path=target)
            yield from invocation.stream()
        _refuse_unbuilt(invocation)
        shutil.rmtree(target, ignore_errors=True)  # logs of a failed build stay

    def _located(self, context: dg.AssetExecutionContext, event: Any, branch: str) -> Any:
        if not isinstance(event, dg.Output):
            return event
        asset = path_of(context.asset_key_for_output(event.output_name))
        content = content_at(self.lake.store, branch, asset)
        metadata = {
            **event.metadata,
            "lake/branch": self.lake.ref,
            "lake/content": content,
            **self._rows(asset, branch),
        }
        return output_with_content(event.output_name, metadata=metadata, content=content)

    def _rows(self, asset: str, branch: str) -> dict[str, Any]:
        from dfp_platform.catalog import read_pointer

        pointer = read_pointer(self.lake.store, branch, tuple(asset.split("/")[1:]))
        return {} if pointer is None else {"dagster/row_count": pointer.rows}

    def _lineage(self, context: dg.AssetExecutionContext, branch: str, made: Iterable[str]) -> dict[str, Any]:
        graph = step_graph(context)
        return {
            asset: {
                "code_version": graph.code_versions.get(asset),
                _PROJECT: _fingerprint(settings().engine),
                "inputs": {dep: content_at(self.lake.store, branch, dep) for dep in graph.dependencies.get(asset, ())},
            }
            for asset in made
        }


def manifest() -> Path:
    """The parsed dbt project; parsed anew only when one of its files, or dbt itself, has changed."""
    engine = parse_target()
    place = settings().home / "dbt" / _fingerprint(engine.name) / "manifest.json"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    parsed = subprocess.run(
        [
            _dbt(),
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


def _dbt() -> str:
    """The dbt of this environment, whatever PATH says."""
    return str(Path(sysconfig.get_path("scripts")) / "dbt")


def _refuse_unbuilt(invocation: DbtCliInvocation) -> None:
    """Raise if a model failed. Tests that failed speak through their checks."""
    results = invocation.get_artifact("run_results.json")["results"]
    broken = [r for r in results if r["status"] in ("error", "runtime error") and r["unique_id"].startswith("model.")]
    if broken:
        raise PermanentError(
            "; ".join(f"{r['unique_id'].split('.')[-1]}: {r['message']}" for r in broken),
            hint="run it by hand: dbt build --project-dir dbt_project --profiles-dir dbt_project",
            models=[r["unique_id"] for r in broken],
        )


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment for a process started inside: dagster-dbt hands on this process's own."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
