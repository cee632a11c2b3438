"""Promises of `deploy/opentofu`, as far as files tell: what is named exists, nothing is open, all is encrypted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest
import yaml

from dfp_platform.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "deploy" / "opentofu"
FILES = sorted(FOLDER.glob("*.tf"))
PARSED = [hcl2.loads(path.read_text()) for path in FILES]
TEXT = "\n".join(re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M) for path in FILES)
CODE = re.sub(r"\$\{|\}", " ", TEXT)


def bare(text: str) -> str:
    return text.strip('"')


def blocks(kind: str) -> Iterator[tuple[str, Any]]:
    """Blocks of a kind, as ``aws_s3_bucket.this`` or ``name``, with their bodies."""
    for parsed in PARSED:
        for block in parsed.get(kind, []):
            for first, body in block.items():
                if kind in ("resource", "data"):
                    for second, inner in body.items():
                        if not second.startswith("__"):
                            yield f"{bare(first)}.{bare(second)}", inner
                elif not first.startswith("__"):
                    yield bare(first), body


RESOURCES, DATA = dict(blocks("resource")), dict(blocks("data"))
VARIABLES, OUTPUTS, LOCALS = dict(blocks("variable")), dict(blocks("output")), dict(blocks("locals"))


def of(kind: str) -> list[Any]:
    return [body for name, body in RESOURCES.items() if name.startswith(f"{kind}.")]


def test_there_is_what_the_chart_takes_from_outside() -> None:
    kinds = {name.split(".")[0] for name in RESOURCES}
    assert {"aws_s3_bucket", "aws_db_instance", "aws_elasticache_replication_group", "aws_eks_cluster"} <= kinds


def test_every_variable_is_declared_typed_told_and_used() -> None:
    assert set(re.findall(r"\bvar\.(\w+)", CODE)) == set(VARIABLES)
    assert [name for name, body in VARIABLES.items() if not body.get("type") or not body.get("description")] == []


def test_every_local_is_declared_and_used() -> None:
    assert set(re.findall(r"\blocal\.(\w+)", CODE)) == set(LOCALS)


def test_whatever_is_named_exists() -> None:
    named = set(re.findall(r"(?<![\w.\"])((?:data\.)?(?:aws|tls)_\w+\.\w+)", CODE))
    known = set(RESOURCES) | {f"data.{name}" for name in DATA}
    assert named - known == set()
    assert len(named) > 20


def test_every_output_says_what_it_is_and_names_a_resource() -> None:
    for name, body in OUTPUTS.items():
        assert body["description"], name
        assert re.search(r"aws_\w+\.\w+", str(body["value"])), name


def test_values_of_the_chart_are_values_of_the_chart() -> None:
    """Every key that the output sets is one that the chart knows, where the chart lies in this checkout."""
    chart = PROJECT_ROOT / "helm" / "dfp" / "values.yaml"
    said = (FOLDER / "outputs.tf").read_text()
    top = set(re.findall(r"^    (\w+)\s*=", said, re.M))
    assert top == {"minio", "postgres", "redis", "s3", "serviceAccounts"}
    if chart.exists():
        values = yaml.safe_load(chart.read_text())
        assert top <= set(values)
        assert set(values["s3"]) >= {"region", "buckets", "keys"}
        keys = set(re.search(r"buckets = \{ (.*) \}", (FOLDER / "main.tf").read_text())[1].replace(" ", "").split(","))  # type: ignore[index]
        assert {key.split("=")[0] for key in keys} == set(values["s3"]["buckets"])
        assert set(values["postgres"]["external"]) >= {"host", "port", "sslmode"}
        assert "port" in values["redis"]["external"]


def test_nothing_is_open_to_everybody() -> None:
    assert "0.0.0.0/0" not in TEXT
    assert "::/0" not in TEXT
    assert all("referenced_security_group_id" in rule for rule in of("aws_vpc_security_group_ingress_rule"))
    assert not any("ingress" in group for group in of("aws_security_group"))
    [postgres] = of("aws_db_instance")
    assert postgres["publicly_accessible"] is False
    [block] = of("aws_s3_bucket_public_access_block")
    doors = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert [block[door] for door in doors] == [True] * 4


def test_everything_is_encrypted() -> None:
    [postgres], [redis], [cluster] = (
        of("aws_db_instance"),
        of("aws_elasticache_replication_group"),
        of("aws_eks_cluster"),
    )
    assert postgres["storage_encrypted"] is True
    assert redis["at_rest_encryption_enabled"] is True
    assert redis["transit_encryption_enabled"] is True
    assert "encryption_config" in cluster
    assert "aws:kms" in str(of("aws_s3_bucket_server_side_encryption_configuration"))
    assert "aws:SecureTransport" in TEXT
    [key] = of("aws_kms_key")
    assert key["enable_key_rotation"] is True


def test_buckets_keep_versions() -> None:
    assert "Enabled" in str(of("aws_s3_bucket_versioning"))


def test_no_secret_is_in_a_file() -> None:
    [postgres] = of("aws_db_instance")
    assert postgres["manage_master_user_password"] is True
    assert "password" not in postgres
    secret = {name for name in VARIABLES if re.search(r"token|password|secret", name)}
    assert secret == {name for name, body in VARIABLES.items() if body.get("sensitive") is True}
    assert [name for name in secret if "default" in VARIABLES[name]] == []
    assert not any(name in str(body["value"]) for name in secret for body in OUTPUTS.values())


@pytest.mark.parametrize("name", ["name", "vpc_id", "private_subnet_ids", "api_public_cidrs", "redis_auth_token"])
def test_what_can_be_wrong_is_validated(name: str) -> None:
    [validation] = VARIABLES[name]["validation"]
    assert f"var.{name}" in str(validation["condition"])
    assert bare(validation["error_message"]).endswith(".")
