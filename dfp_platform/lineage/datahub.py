"""Runs as DataHub's own metadata, sent by its client: datasets, jobs and what they read and wrote, models, runs.

An asset is a dataset, and a job of the flow `assets` that makes it; a model is a model besides. A run of Dagster is an
instance of the flow of its job.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from dfp_platform.errors import ConfigurationError, InputError, UnreachableError
from dfp_platform.lineage.record import Dataset, Made, RunRecord

if TYPE_CHECKING:
    from datahub.emitter.mcp import MetadataChangeProposalWrapper

SECONDS = 5.0
"""How long DataHub may take to answer one batch."""

BATCH = 20
"""Aspects in one batch: those of about three assets."""

PLATFORM = "dfp"
ORCHESTRATOR = "dagster"
CLUSTER = "prod"
FLOW = "assets"

_TYPES = {
    "boolean": "BooleanTypeClass",
    "int": "NumberTypeClass",
    "long": "NumberTypeClass",
    "float": "NumberTypeClass",
    "double": "NumberTypeClass",
    "decimal": "NumberTypeClass",
    "date": "DateTypeClass",
    "time": "TimeTypeClass",
    "timestamp": "TimeTypeClass",
    "timestamptz": "TimeTypeClass",
    "binary": "BytesTypeClass",
    "fixed": "FixedTypeClass",
    "list": "ArrayTypeClass",
    "map": "MapTypeClass",
    "struct": "RecordTypeClass",
}
"""DataHub's type of each of Iceberg's; all others are strings to it."""

_RESULTS = {"COMPLETE": "SUCCESS", "FAIL": "FAILURE", "ABORT": "SKIPPED"}


class DataHub:
    """DataHub's metadata service.

    Args:
        url: its address.
        token: shown as bearer token; empty: none.
    """

    name = "datahub"

    def __init__(self, url: str, *, token: str = "") -> None:
        self._url = url
        self._token = token

    def tell(self, record: RunRecord, *, begin: int = 0) -> Iterator[int]:
        import requests

        _quietly()
        try:
            from datahub.configuration import common
            from datahub.emitter.rest_emitter import DataHubRestEmitter, EmitMode
        except ImportError as error:
            raise ConfigurationError(
                "DFP_DATAHUB_URL needs the package acryl-datahub",
                hint="pip install 'dfp-platform[datahub]'",
                setting="datahub_url",
            ) from error
        emitter = DataHubRestEmitter(
            self._url, token=self._token or None, timeout_sec=SECONDS, retry_max_times=0, openapi_ingestion=False
        )
        try:
            emitter.test_connection()
            for number, batch in enumerate(batched(proposals_of(record), BATCH), start=1):
                if number > begin:
                    emitter.emit_mcps(batch, emit_mode=EmitMode.SYNC_PRIMARY)
                    yield number
        except common.OperationalError as error:
            status = int(error.info.get("status") or 0)
            said = f"DataHub answered {status or 'an error'} to run {record.run_id}: {error.message[:300]}"
            if 400 <= status < 500 and status not in (408, 425, 429):
                raise InputError(said, hint="look at its log, and at DFP_DATAHUB_TOKEN", status=status) from error
            raise UnreachableError(said, status=status) from error
        except (common.ConfigurationError, requests.RequestException) as error:
            raise UnreachableError(f"DataHub did not answer: {type(error).__name__}") from error
        finally:
            emitter.close()


def batched(proposals: Iterator[MetadataChangeProposalWrapper], size: int) -> Iterator[list[Any]]:
    """`proposals` in lists of `size`, the last perhaps shorter."""
    while batch := list(islice(proposals, size)):
        yield batch


def _quietly() -> None:
    """Without telemetry to DataHub's makers, and without its requests in the log, which show the token at DEBUG."""
    os.environ.setdefault("DATAHUB_TELEMETRY_ENABLED", "false")
    logging.getLogger("datahub").setLevel(logging.INFO)


def proposals_of(record: RunRecord) -> Iterator[MetadataChangeProposalWrapper]:
    """What tells a record to DataHub: each aspect whole, so that telling it twice changes nothing."""
    for made in record.made:
        yield from _dataset(record, made)
        yield from _job(record, made)
        if made.dataset.kind == "MODEL":
            yield from _model(record, made)
    yield from _run(record)


def dataset_urn(lake: str, dataset: Dataset) -> str:
    """What DataHub calls a dataset of a lake."""
    from datahub.emitter.mce_builder import make_dataset_urn

    return make_dataset_urn(PLATFORM, f"{lake.partition('://')[2].strip('/')}/{dataset.name}")


def _job_urn(asset: str) -> str:
    from datahub.emitter.mce_builder import make_data_job_urn

    return make_data_job_urn(ORCHESTRATOR, FLOW, asset, CLUSTER)


def _told(urn: str, *aspects: Any) -> Iterator[MetadataChangeProposalWrapper]:
    from datahub.emitter.mcp import MetadataChangeProposalWrapper

    return (MetadataChangeProposalWrapper(entityUrn=urn, aspect=aspect) for aspect in aspects)


def _dataset(record: RunRecord, made: Made) -> Iterator[MetadataChangeProposalWrapper]:
    from datahub.metadata import schema_classes as schema

    dataset, urn = made.dataset, dataset_urn(record.lake, made.dataset)
    upstreams = [
        schema.UpstreamClass(dataset_urn(record.lake, read), schema.DatasetLineageTypeClass.TRANSFORMED)
        for read in made.inputs
    ]
    yield from _told(
        urn,
        schema.StatusClass(removed=False),
        schema.DatasetPropertiesClass(
            name=dataset.asset,
            qualifiedName=dataset.table or dataset.asset,
            customProperties=_properties(record, made),
            lastModified=schema.TimeStampClass(_millis(record.time)),
        ),
        schema.SubTypesClass(typeNames=[dataset.kind.capitalize()]),
        schema.UpstreamLineageClass(upstreams=upstreams, fineGrainedLineages=_columns(record.lake, made) or None),
    )
    if dataset.table:
        yield from _told(urn, _schema(dataset))
    if dataset.rows is not None:
        profile = schema.DatasetProfileClass(
            timestampMillis=_millis(record.time), rowCount=dataset.rows, columnCount=len(dataset.columns)
        )
        yield from _told(urn, profile)


def _columns(lake: str, made: Made) -> list[Any]:
    from datahub.emitter.mce_builder import make_schema_field_urn
    from datahub.metadata import schema_classes as schema

    urns = {read.asset: dataset_urn(lake, read) for read in made.inputs}
    told = {
        column: [make_schema_field_urn(urns[asset], name) for asset, name in sources if asset in urns]
        for column, sources in made.columns_from.items()
    }
    return [
        schema.FineGrainedLineageClass(
            upstreamType=schema.FineGrainedLineageUpstreamTypeClass.FIELD_SET,
            upstreams=sources,
            downstreamType=schema.FineGrainedLineageDownstreamTypeClass.FIELD,
            downstreams=[make_schema_field_urn(dataset_urn(lake, made.dataset), column)],
        )
        for column, sources in told.items()
        if sources
    ]


def _properties(record: RunRecord, made: Made) -> dict[str, str]:
    sizes = {"bytes": made.dataset.bytes, "files": made.dataset.files}
    told = {
        "lake": record.lake,
        "lake/branch": made.dataset.branch,
        "lake/commit": made.dataset.commit,
        "lake/content": made.dataset.content,
        "run": record.run_id,
        "code_version": made.code_version,
        "config": made.config,
        **{name: str(size) for name, size in sizes.items() if size is not None},
    }
    return {name: value for name, value in told.items() if value}


def _schema(dataset: Dataset) -> Any:
    from datahub.metadata import schema_classes as schema

    fields = [
        schema.SchemaFieldClass(
            fieldPath=name,
            type=schema.SchemaFieldDataTypeClass(type=getattr(schema, _datahub_type(kind))()),
            nativeDataType=kind,
            description=doc or None,
            nullable=True,
        )
        for name, kind, doc in dataset.columns
    ]
    return schema.SchemaMetadataClass(
        schemaName=dataset.table,
        platform=f"urn:li:dataPlatform:{PLATFORM}",
        version=0,
        hash=dataset.content,
        platformSchema=schema.OtherSchemaClass(rawSchema=""),
        fields=fields,
    )


def _datahub_type(iceberg: str) -> str:
    word = "".join(letter for letter in iceberg.partition("(")[0].partition("<")[0] if letter.isalpha())
    return _TYPES.get(word, "StringTypeClass")


def _job(record: RunRecord, made: Made) -> Iterator[MetadataChangeProposalWrapper]:
    from datahub.metadata import schema_classes as schema

    yield from _told(
        _job_urn(made.dataset.asset),
        schema.StatusClass(removed=False),
        schema.DataJobInfoClass(
            name=made.dataset.asset,
            type="ASSET",
            customProperties={"code_version": made.code_version} if made.code_version else {},
        ),
        schema.DataJobInputOutputClass(
            inputDatasets=[dataset_urn(record.lake, read) for read in made.inputs],
            outputDatasets=[dataset_urn(record.lake, made.dataset)],
        ),
    )


def _model(record: RunRecord, made: Made) -> Iterator[MetadataChangeProposalWrapper]:
    from datahub.emitter.mce_builder import make_ml_model_urn
    from datahub.metadata import schema_classes as schema

    place = f"{record.lake.partition('://')[2].strip('/')}/{made.dataset.name}"
    yield from _told(
        make_ml_model_urn(PLATFORM, place, "PROD"),
        schema.StatusClass(removed=False),
        schema.MLModelPropertiesClass(
            name=made.dataset.asset,
            version=schema.VersionTagClass(made.dataset.content),
            trainingJobs=[_job_urn(made.dataset.asset)],
            customProperties=_properties(record, made),
            created=schema.TimeStampClass(_millis(record.time)),
        ),
    )


def _run(record: RunRecord) -> Iterator[MetadataChangeProposalWrapper]:
    from datahub.api.entities.dataprocess.dataprocess_instance import DataProcessInstance, InstanceRunResult
    from datahub.emitter.mce_builder import make_data_flow_urn
    from datahub.metadata import schema_classes as schema
    from datahub.metadata.urns import DataFlowUrn

    for flow, name in ((FLOW, "assets of dfp"), (record.job, record.job)):
        urn = make_data_flow_urn(ORCHESTRATOR, flow, CLUSTER)
        yield from _told(urn, schema.StatusClass(removed=False), schema.DataFlowInfoClass(name=name))
    told = {"lake/branch": record.branch, "lake/commit": record.commit, "continues": record.continues}
    instance = DataProcessInstance(
        id=record.run_id,
        orchestrator=ORCHESTRATOR,
        cluster=CLUSTER,
        template_urn=DataFlowUrn(ORCHESTRATOR, record.job, CLUSTER),
        properties={name: value for name, value in told.items() if value}
        | ({"reasons": "\n".join(record.reasons)[:4_000]} if record.reasons else {}),
    )
    yield from instance.generate_mcp(created_ts_millis=_millis(record.started), materialize_iolets=False)
    if record.state == "START":
        yield from instance.start_event_mcp(_millis(record.time))
    else:
        result = InstanceRunResult[_RESULTS[record.state]]
        yield from instance.end_event_mcp(
            _millis(record.time), result, result_type=ORCHESTRATOR, start_timestamp_millis=_millis(record.started)
        )


def _millis(time: datetime) -> int:
    return int(time.timestamp() * 1000)
