"""Object stores and Redis: a request that is signed, MinIO's own word of its health, a ping."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from dfp_platform.errors import UnreachableError
from dfp_platform.lake import is_served, open_lake
from dfp_platform.probes.asking import get
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.probes.machine import amount
from dfp_platform.settings import Settings

_REFUSED = ("accessdenied", "invalidaccesskeyid", "signaturedoesnotmatch", "invalidclienttokenid", "http status 403")
"""How a store says that it does not take these keys, in small letters and without ``_``: it has several ways."""


def endpoint() -> str:
    """Address of the configured store that is not AWS; empty if there is none."""
    from dfp_platform.catalog.storage import storage_properties

    return storage_properties().get("s3.endpoint", "")


def sign_a_request(at: Settings, seconds: float) -> Finding:
    """List the warehouse's bucket, or all buckets where the warehouse lies elsewhere, by a signed request."""
    from pyarrow import fs

    bucket, where = _bucket(at), endpoint()
    if not bucket and not where and not at.lakefs_storage_bucket:
        return Finding("no table lies on S3", status="not used")
    store = _file_system(seconds)
    selector = fs.FileSelector(bucket, recursive=False, allow_not_found=not bucket)
    try:
        found = store.get_file_info(selector)
    except OSError as error:
        said = f"{where or 'AWS'} refused to list {bucket or 'its buckets'}"
        if any(word in str(error).lower().replace("_", "") for word in _REFUSED):
            hint = "check PYICEBERG_CATALOG__LAKE__S3__ACCESS_KEY_ID and …SECRET_ACCESS_KEY, and what they may do"
            return Finding(f"{said}: the keys are not accepted", status="failed", hint=hint)
        reason = str(error).rpartition("curlCode: ")[2].partition("; Details")[0]
        raise UnreachableError(f"{where or 'AWS'} does not list {bucket or 'its buckets'}: {reason}") from error
    return Finding(f"S3 ok: {where or 'AWS'}", {"in bucket " + bucket if bucket else "buckets": len(found)})


def _file_system(seconds: float) -> Any:
    from pyarrow import fs

    from dfp_platform.catalog.storage import s3_file_system

    return s3_file_system(
        connect_timeout=seconds / 2,
        request_timeout=seconds / 2,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )


def _bucket(at: Settings) -> str:
    """The bucket in which table files lie; empty if they lie elsewhere."""
    try:
        warehouse = urlsplit(open_lake(at.lake_uri).warehouse)
    except Exception:  # the lake's own door tells what is wrong with it
        return ""
    return warehouse.netloc if warehouse.scheme.startswith("s3") else ""


def _no_s3(at: Settings) -> str:
    return "" if endpoint() or is_served(at.lake_uri) else "no table lies on S3 and no endpoint is set"


def ask_minio(at: Settings, seconds: float) -> Finding:
    """MinIO's word that it is alive, by plain HTTP."""
    where = endpoint().rstrip("/")
    answer = get(f"{where}/minio/health/live", seconds=seconds)
    if answer.is_success:
        return Finding(f"MinIO ready: {where} -> {answer.status_code}")
    if answer.status_code < 500:
        return Finding(f"the store at {where} is another than MinIO ({answer.status_code})", status="not used")
    return Finding(f"MinIO not ready: {where} -> {answer.status_code}", status="failed", hint="look at its log")


def ping_redis(at: Settings, seconds: float) -> Finding:
    """PING, and whether Redis would lose or refuse features."""
    from dfp_platform.features.redis_client import RedisClient

    assert at.redis_url is not None
    client = RedisClient(at.redis_url.get_secret_value(), patience=seconds)
    try:
        with client.told_in_our_words():
            client.client.ping()
            told = {} if client.cluster else client.client.info()
    finally:
        client.close()
    return judged_redis(client.address, told)


def judged_redis(address: str, told: dict[str, Any]) -> Finding:
    """What a Redis that answered says of itself, by its INFO; empty for a cluster, which has one a node."""
    said = f"Redis ping ok: {address}"
    if not told:
        return Finding(said, {"kind": "cluster"})
    used, most = told.get("used_memory", 0), told.get("maxmemory", 0)
    facts = {"version": told.get("redis_version", "unknown"), "memory": amount(used)}
    if told.get("role") == "slave":
        return Finding(f"{said}, but it is a replica", facts, "warning", "DFP_REDIS_URL has to name the primary")
    if told.get("rdb_last_bgsave_status") == "err":
        return Finding(f"{said}, but it cannot save", facts, "warning", "look at its disk: it may refuse to be written")
    if most and told.get("maxmemory_policy", "noeviction") != "noeviction":
        hint = "online features would vanish one by one: set maxmemory-policy noeviction"
        return Finding(f"{said}, but it evicts when it is full", facts, "warning", hint)
    if most and used > 0.9 * most:
        hint = "give it memory, or `dfp features prune`"
        return Finding(f"{said}, of {amount(most)} less than a tenth is free", facts, "warning", hint)
    return Finding(said, facts)


def _load_s3(at: Settings) -> None:
    import pyarrow.fs  # noqa: F401

    import dfp_platform.catalog.storage  # noqa: F401


def _load_http(at: Settings) -> None:
    import httpx  # noqa: F401


def _load_redis(at: Settings) -> None:
    import redis  # noqa: F401

    import dfp_platform.features.redis_client  # noqa: F401


DOORS = (
    Door(
        "s3",
        "The object store takes our keys.",
        sign_a_request,
        "start the store, or check PYICEBERG_CATALOG__LAKE__S3__ENDPOINT",
        unused=_no_s3,
        load=_load_s3,
    ),
    Door(
        "minio",
        "MinIO says that it is alive.",
        ask_minio,
        "start MinIO, or check PYICEBERG_CATALOG__LAKE__S3__ENDPOINT",
        unused=lambda at: "" if endpoint() else "no endpoint is set",
        load=_load_http,
    ),
    Door(
        "redis",
        "Redis answers, takes our login and keeps what it is given.",
        ping_redis,
        "start Redis, or check DFP_REDIS_URL",
        unused=lambda at: "" if at.redis_url else "DFP_REDIS_URL is not set: features are served from SQLite",
        load=_load_redis,
    ),
)
