"""Dockerfiles as instructions, and what may be wrong with them: hadolint's rules that matter here, and ours.

Not taken from hadolint: DL3008, versions of Debian packages. Debian's archive keeps only the newest build of a release,
so a pin breaks with the next security update; the tag of the base says the release, and a digest of it the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from dockerfile_parse import DockerfileParser

_SECRET = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|ACCESS_KEY|API_KEY", re.IGNORECASE)
_PROCESSOR = re.compile(r"x86_64|amd64|x64|aarch64|arm64")
_COMPILERS = {"build-essential", "gcc", "g++", "clang", "make", "cmake", "git", "curl", "wget"}
LABELS = ("title", "description", "licenses", "version", "revision")


@dataclass(frozen=True, slots=True)
class Instruction:
    """A line of a Dockerfile: its word in capitals, what follows, and the number of its stage from 0."""

    word: str
    value: str
    stage: int

    @property
    def words(self) -> list[str] | None:
        """Of CMD, ENTRYPOINT: the words of the exec form; None: it goes through a shell."""
        try:
            return json.loads(self.value)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """What a Dockerfile says."""

    instructions: tuple[Instruction, ...]
    arguments: Mapping[str, str]

    @property
    def last(self) -> int:
        return self.instructions[-1].stage

    def of(self, word: str, *, last: bool = False) -> list[Instruction]:
        """Its instructions of a word; of the last stage alone, where that is asked."""
        return [each for each in self.instructions if each.word == word and (not last or each.stage == self.last)]

    def started(self) -> list[str]:
        """What a container runs: ENTRYPOINT and CMD."""
        return [
            word for kind in ("ENTRYPOINT", "CMD") for each in self.of(kind, last=True) for word in each.words or []
        ]

    def asked(self) -> list[str]:
        """What the health check runs."""
        [check] = self.of("HEALTHCHECK", last=True)
        return json.loads(check.value[check.value.index("[") :])

    def sources(self) -> list[str]:
        """What is copied from the build context."""
        plain = [each.value.split() for each in self.of("COPY") if "--from=" not in each.value]
        return [word for words in plain for word in words[:-1] if not word.startswith("--")]

    def packages(self, *, last: bool = False) -> list[str]:
        """The Debian packages that are installed."""
        runs = " ".join(each.value for each in self.of("RUN", last=last))
        found = re.findall(r"apt-get install ([^&;|]*)", runs)
        return [word for words in found for word in words.split() if not word.startswith("-")]


def parsed(text: str) -> Dockerfile:
    """A Dockerfile's text as instructions."""
    parser = DockerfileParser(fileobj=BytesIO(text.encode()))
    stage, found, arguments = -1, [], {}
    for line in parser.structure:
        word, value = line["instruction"].upper(), line["value"]
        stage += word == "FROM"
        if word == "ARG" and stage < 0:
            name, _, default = value.partition("=")
            arguments[name] = default
        elif word != "COMMENT":
            found.append(Instruction(word, value, stage))
    return Dockerfile(tuple(found), arguments)


def read(path: Path) -> Dockerfile:
    """The Dockerfile at a path."""
    return parsed(path.read_text())


def offences(file: Dockerfile) -> list[str]:
    """What is wrong with it; the name of the rule comes first."""
    return [f"{rule.__name__.lstrip('_')}: {found}" for rule in _RULES for found in rule(file)]


def _tag(file: Dockerfile) -> Iterator[str]:
    """DL3006, DL3007: which base it is has to be said."""
    stages: set[str] = set()
    for each in file.of("FROM"):
        words = [word for word in each.value.split() if not word.startswith("--")]
        image = re.sub(r"\$\{(\w+)\}", lambda name: file.arguments.get(name[1], ""), words[0])
        tag = image.partition("@")[0].rpartition(":")[2] if ":" in image else ""
        if image not in stages and (not re.search(r"\d+\.\d+\.\d+", tag) or "latest" in tag):
            yield each.value
        stages.update(words[2:3])


def _user(file: Dockerfile) -> Iterator[str]:
    """DL3002."""
    users = file.of("USER", last=True)
    if not users or users[-1].value != "10001:10001":
        yield users[-1].value if users else "root"


def _health(file: Dockerfile) -> Iterator[str]:
    """DL3057."""
    if len(file.of("HEALTHCHECK", last=True)) != 1:
        yield "there is none"


def _shell(file: Dockerfile) -> Iterator[str]:
    """DL3025: a shell between the engine and the process swallows signals."""
    for each in (*file.of("CMD"), *file.of("ENTRYPOINT")):
        if each.words is None:
            yield each.value
    for each in file.of("HEALTHCHECK"):
        if not re.search(r"CMD \[", each.value):
            yield each.value


def _signal(file: Dockerfile) -> Iterator[str]:
    if not file.of("STOPSIGNAL", last=True):
        yield "how it is told to end is not said"


def _added(file: Dockerfile) -> Iterator[str]:
    """DL3020."""
    yield from (each.value for each in file.of("ADD"))


def _fetched(file: Dockerfile) -> Iterator[str]:
    """What comes from elsewhere comes from a registry, by its client, which knows sums."""
    yield from (each.value for each in file.of("RUN") if re.search(r"https?://|\b(curl|wget)\b", each.value))


def _sudo(file: Dockerfile) -> Iterator[str]:
    """DL3004."""
    yield from (each.value for each in file.of("RUN") if re.search(r"\bsudo\b", each.value))


def _pip(file: Dockerfile) -> Iterator[str]:
    """DL3013, DL3042: versions are those of constraints.txt, and no cache stays."""
    uncached = any("UV_NO_CACHE=1" in each.value for each in file.of("ENV"))
    for each in file.of("RUN"):
        for call in re.findall(r"pip install [^&;|]*", each.value):
            kept = not uncached if f"uv {call}" in each.value else "--no-cache-dir" not in call
            if "-c constraints.txt" not in call or kept:
                yield call


def _apt(file: Dockerfile) -> Iterator[str]:
    """DL3009, DL3014, DL3015."""
    for each in file.of("RUN"):
        if "apt-get install" in each.value and not all(
            said in each.value
            for said in ("apt-get update", " -y ", "--no-install-recommends", "rm -rf /var/lib/apt/lists")
        ):
            yield each.value


def _compiler(file: Dockerfile) -> Iterator[str]:
    yield from (name for name in file.packages(last=True) if name in _COMPILERS or name.endswith("-dev"))


def _processor(file: Dockerfile) -> Iterator[str]:
    """One file for every processor."""
    yield from (each.value for each in file.instructions if _PROCESSOR.search(each.value))


def _secret(file: Dockerfile) -> Iterator[str]:
    """Whatever ARG and ENV say stays in the image for everybody to read."""
    for each in (*file.of("ARG"), *file.of("ENV")):
        yield from (name for name in re.findall(r"(\w+)(?==|$)", each.value) if _SECRET.search(name))


def _label(file: Dockerfile) -> Iterator[str]:
    told = " ".join(each.value for each in file.of("LABEL", last=True))
    yield from (name for name in LABELS if f"org.opencontainers.image.{name}" not in told)


def _layers(file: Dockerfile) -> Iterator[str]:
    """What changes rarely comes first: packages are installed before any code is copied."""
    code = False
    for each in file.instructions:
        code = code and each.word != "FROM"
        if each.word == "RUN" and code and "install" in each.value:
            yield each.value
        code = code or (each.word == "COPY" and "dfp_platform" in each.value)


_RULES: tuple[Callable[[Dockerfile], Iterator[str]], ...] = (
    _tag, _user, _health, _shell, _signal, _added, _fetched, _sudo, _pip, _apt, _compiler, _processor, _secret, _label,
    _layers,
)  # fmt: skip
