"""Runs as OpenLineage events, and the HTTP receiver of these: Marquez, DataHub, OpenMetadata, …

A run of Dagster is a run of the job of its name. Each asset that it published is a run of the asset's own job, whose
parent it is: so lineage is from asset to asset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from dfp_platform import __version__
from dfp_platform.errors import ConfigurationError, InputError, UnreachableError
from dfp_platform.lineage.record import Dataset, Made, RunRecord

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent

SECONDS = 5.0
"""How long a receiver may take to answer one event."""

ENDPOINT = "api/v1/lineage"
"""Where receivers take events, below their address."""

PRODUCER = f"urn:dfp:{__version__}"
"""Who made an event: an URI, as the specification wants it."""

ASSETS = "assets"
"""What the names of assets' jobs begin with: ``assets.tables/marts/fct_training_dataset``."""

_LONGEST = 4_000
"""Letters of a failure that are told."""


class OpenLineage:
    """A receiver of OpenLineage over HTTP.

    Args:
        url: its address, to which `ENDPOINT` is added.
        namespace: of the jobs.
        api_key: shown as bearer token; empty: none.
    """

    name = "openlineage"

    def __init__(self, url: str, *, namespace: str, api_key: str = "") -> None:
        self._url = url.rstrip("/") + "/"
        self._namespace = namespace
        self._api_key = api_key

    def tell(self, record: RunRecord, *, begin: int = 0) -> Iterator[int]:
        import requests

        client = self._client()
        try:
            for number, event in enumerate(events_of(record, namespace=self._namespace), start=1):
                if number > begin:
                    client.emit(event)
                    yield number
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            said = f"the receiver of lineage answered {status} to run {record.run_id}"
            if status >= 500 or status in (408, 425, 429):
                raise UnreachableError(said, status=status) from error
            raise InputError(said, hint="look at its log, and at DFP_OPENLINEAGE_URL", status=status) from error
        except requests.RequestException as error:
            raise UnreachableError(f"the receiver of lineage did not answer: {type(error).__name__}") from error
        finally:
            client.close()

    def _client(self) -> Any:
        refuse_without_client()
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.http import HttpConfig, HttpTransport

        auth = {"auth": {"type": "api_key", "apiKey": self._api_key}} if self._api_key else {}
        told = {
            "url": self._url,
            "endpoint": ENDPOINT,
            "timeout": SECONDS,
            "retry": {"total": False, "status_forcelist": []},
            **auth,
        }
        # what the client finds out of git by itself is the address of the repository, perhaps with a token in it
        config = {"facets": {"source_code_location": {"disabled": True}}}
        try:
            return OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(told)), config=config)
        except ValueError as error:
            raise ConfigurationError(
                "DFP_OPENLINEAGE_URL is no address", hint="http://host:5000", setting="openlineage_url"
            ) from error


def refuse_without_client() -> None:
    """Raise ConfigurationError: OpenLineage's client is not installed."""
    try:
        import openlineage.client  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "OpenLineage events need the package openlineage-python",
            hint="pip install 'dfp-platform[openlineage]'",
            setting="openlineage_url",
        ) from error


def events_of(record: RunRecord, *, namespace: str) -> Iterator[RunEvent]:
    """The events that tell a record, in the order in which they are to arrive: assets before the run that made them."""
    from openlineage.client.event_v2 import RunEvent, RunState

    for made in record.made:
        job, run = _job_of(made, namespace), _run_of(made, record, namespace)
        yield RunEvent(eventTime=_iso(record.started), producer=PRODUCER, run=run, job=job, eventType=RunState.START)
        yield RunEvent(
            eventTime=_iso(record.time),
            producer=PRODUCER,
            run=run,
            job=job,
            eventType=RunState.COMPLETE,
            inputs=[_input(record.lake, dataset) for dataset in made.inputs],
            outputs=[_output(record.lake, made)],
        )
    yield RunEvent(
        eventTime=_iso(record.time),
        producer=PRODUCER,
        run=_run(record),
        job=_job(record, namespace),
        eventType=RunState[record.state],
    )


def _run(record: RunRecord) -> Run:
    from openlineage.client.event_v2 import Run
    from openlineage.client.facet_v2 import error_message_run, processing_engine_run, tags_run

    told = {"lake/branch": record.branch, "lake/commit": record.commit, "continues": record.continues}
    tags = [tags_run.TagsRunFacetFields(key, value, "dfp") for key, value in told.items() if value]
    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=__version__, name="dfp", producer=PRODUCER
        ),
        "tags": tags_run.TagsRunFacet(tags=tags, producer=PRODUCER),
    }
    if record.reasons:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message="\n".join(record.reasons)[:_LONGEST], programmingLanguage="python", producer=PRODUCER
        )
    return Run(runId=record.run_id, facets=facets)


def _run_of(made: Made, record: RunRecord, namespace: str) -> Run:
    from openlineage.client.event_v2 import Run
    from openlineage.client.facet_v2 import parent_run, tags_run

    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=record.run_id),
        job=parent_run.Job(namespace=namespace, name=record.job),
        producer=PRODUCER,
    )
    told = {"lake/branch": record.branch, "lake/commit": record.commit, "config": made.config}
    tags = [tags_run.TagsRunFacetFields(key, value, "dfp") for key, value in told.items() if value]
    run_id = str(uuid5(UUID(record.run_id), made.dataset.asset))
    return Run(runId=run_id, facets={"parent": parent, "tags": tags_run.TagsRunFacet(tags=tags, producer=PRODUCER)})


def _job(record: RunRecord, namespace: str) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.facet_v2 import job_type_job

    kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DAGSTER", jobType="JOB", producer=PRODUCER)
    return Job(namespace=namespace, name=record.job, facets={"jobType": kind})


def _job_of(made: Made, namespace: str) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.facet_v2 import job_type_job, tags_job

    kind = job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="DAGSTER", jobType="ASSET", producer=PRODUCER
    )
    facets: dict[str, Any] = {"jobType": kind}
    if made.code_version:
        tag = tags_job.TagsJobFacetFields("code_version", made.code_version, "dfp")
        facets["tags"] = tags_job.TagsJobFacet(tags=[tag], producer=PRODUCER)
    return Job(namespace=namespace, name=f"{ASSETS}.{made.dataset.asset}", facets=facets)


def _input(lake: str, dataset: Dataset) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(namespace=lake, name=dataset.name, facets=_facets(lake, dataset))


def _output(lake: str, made: Made) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    dataset = made.dataset
    facet = statistics.OutputStatisticsOutputDatasetFacet(
        rowCount=dataset.rows, size=dataset.bytes, fileCount=dataset.files, producer=PRODUCER
    )
    facets = _facets(lake, dataset) | _columns(lake, made)
    return OutputDataset(namespace=lake, name=dataset.name, facets=facets, outputFacets={"outputStatistics": facet})


def _columns(lake: str, made: Made) -> dict[str, Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage

    def read(asset: str, column: str) -> lineage.InputField:
        return lineage.InputField(lake, f"{made.dataset.branch}/{asset}", column)

    fields = {
        column: lineage.Fields([read(asset, name) for asset, name in sources])
        for column, sources in made.columns_from.items()
        if sources
    }
    return {"columnLineage": lineage.ColumnLineageDatasetFacet(fields, producer=PRODUCER)} if fields else {}


def _facets(lake: str, dataset: Dataset) -> dict[str, Any]:
    from openlineage.client import facet_v2 as facets

    tag = facets.tags_dataset.TagsDatasetFacetFields("lake/content", dataset.content, "dfp")
    told: dict[str, Any] = {
        "datasetType": facets.dataset_type_dataset.DatasetTypeDatasetFacet(dataset.kind, producer=PRODUCER),
        "dataSource": facets.datasource_dataset.DatasourceDatasetFacet(
            name=lake, uri=f"{lake}/{dataset.commit or dataset.branch}/{dataset.asset}", producer=PRODUCER
        ),
        "tags": facets.tags_dataset.TagsDatasetFacet(tags=[tag], producer=PRODUCER),
    }
    if dataset.commit:
        told["version"] = facets.dataset_version_dataset.DatasetVersionDatasetFacet(dataset.commit, producer=PRODUCER)
    if dataset.table:
        columns = [
            facets.schema_dataset.SchemaDatasetFacetFields(name, kind, doc or None, ordinal_position=place, fields=None)
            for place, (name, kind, doc) in enumerate(dataset.columns, start=1)
        ]
        identifier = facets.symlinks_dataset.Identifier(f"{lake}@{dataset.branch}", dataset.table, "TABLE")
        told |= {
            "schema": facets.schema_dataset.SchemaDatasetFacet(fields=columns, producer=PRODUCER),
            "symlinks": facets.symlinks_dataset.SymlinksDatasetFacet([identifier], producer=PRODUCER),
            "storage": facets.storage_dataset.StorageDatasetFacet("iceberg", "parquet", producer=PRODUCER),
        }
    return told


def as_json(event: RunEvent) -> dict[str, Any]:
    """An event as it is sent."""
    from openlineage.client.serde import Serde

    return json.loads(Serde.to_json(event))


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")
