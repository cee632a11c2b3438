"""No committed file brings a password that works: the compose of a laptop alone has some, and says so by its place."""

from __future__ import annotations

import re
import subprocess

from dfp_platform.settings import PROJECT_ROOT

ROOMS = ("deploy/", "helm/", ".github/", ".env.example", "dagster.yaml", "Makefile")
LAPTOP = "deploy/compose/"

NAMED = re.compile(
    r"^\s*-?\s*\"?(\w*(?:password|passwd|secret_?key|secret_?access_?key|api_?key|token)\w*)\"?\s*[:=]\s*(\S.*)$", re.I
)
REFERENCE = re.compile(
    r"^[\"']?(ci-\$\{\{ github|\$\{|\$\(|\{\{|<|true|false|null|~|write\b|\{|\[|\*\*\*"
    r"|var\.|local\.|data\.|random_|aws_|module\.|[\w.-]*secrets?\b)",
    re.I,
)
EMPTY = re.compile(r"^[\"']{0,2}(\s*#.*)?$")
KNOWN = re.compile(r"\b(minioadmin|changeme|hunter2|password123|admin:admin|AKIA[0-9A-Z]{16}|ghp_\w{20,})\b")


def plain(line: str) -> str | None:
    """The name under which a line tells a secret as it is."""
    found = NAMED.match(line)
    if not found or line.lstrip().startswith("#"):
        return None
    name, value = found[1], found[2].strip()
    if re.search(r"(name|key|ref|file|path|type|second|ttl|http_token)s?$", name, re.I) and not re.search(
        r"(secret|api|access).?key$", name, re.I
    ):
        return None
    return None if EMPTY.match(value) or REFERENCE.match(value) else name


def texts() -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files", *ROOMS], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if not name.startswith(LAPTOP) and not name.endswith(".md")]
    files = [PROJECT_ROOT / name for name in names]
    return {name: path.read_text(errors="ignore") for name, path in zip(names, files, strict=True) if path.is_file()}


def test_no_file_but_a_laptops_compose_tells_a_password() -> None:
    found = {
        f"{name}:{number}: {line.strip()[:80]}"
        for name, text in texts().items()
        if name.endswith((".yaml", ".yml", ".tf", ".toml", ".example", ".Dockerfile", ".tfvars"))
        for number, line in enumerate(text.splitlines(), 1)
        if plain(line)
    }
    assert found == set()


def test_no_file_but_a_laptops_compose_has_a_password_that_everybody_knows() -> None:
    assert {name for name, text in texts().items() if KNOWN.search(text)} == set()


def test_a_password_that_is_told_is_found_and_a_reference_is_not() -> None:
    told = (
        "password: dfp",
        "  DFP_SERVING_TOKEN: abc",
        'postgresPassword: "dfp"',
        "AWS_SECRET_ACCESS_KEY=xyz",
        "- token: a1",
    )
    assert [line for line in told if not plain(line)] == []
    fine = (
        "password: ",
        'password: ""',
        "password: ${{ secrets.X }}",
        "passwordKey: password",
        "tokenSecretName: dfp",
        "# token: x",
    )
    assert [line for line in fine if plain(line)] == []
