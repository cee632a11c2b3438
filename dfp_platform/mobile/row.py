"""One measured artifact on one device: the record that hosts, emulators and phones all write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from dfp_platform.mobile.protocol import PROTOCOL_VERSION, Latency, figure

HOST, EMULATOR, PHONE = "host", "emulator", "phone"


class BenchmarkRow(Latency):
    """One artifact, measured by the protocol on one device. What is not known or not measured is null, never 0.

    Attributes:
        kind: where it ran; figures of different kinds are never mixed.
        device: its name: maker and model of a phone, processor of a host.
        soc: the system on a chip; of a host its processor.
        os_build: operating system and build.
        runtime: what computed, in words.
        exporter: key of the exporter that made the artifact: ``onnx``, ``litert``, ``executorch``.
        model: name of the model it was made from.
        artifact: the noun of its lake path: ``autoencoder_litert_int8``.
        precision: ``fp32``, ``fp16``, ``int8``, ``int8_static``.
        artifact_sha256: digest of its model file, hex.
        lake_commit: the commit it was read at.
        protocol_version: of docs/benchmark_protocol.md.
        mode: ``quick`` or ``full``.
        delegate: what its operators ran on beside the runtime's own: ``XNNPACK``, ``NNAPI``; empty: nothing.
        warm_up: unmeasured queries before the first measured one.
        first_us: the first answer of a fresh process, microseconds.
        cold_load_ms: from bytes in memory to ready, in a fresh process whose libraries are imported; median of
            `cold_loads`.
        cold_loads: fresh processes.
        import_ms: importing these libraries, in the same processes; null where nothing is imported.
        baseline_memory_bytes: resident memory of such a process before it loads; null: not measured apart.
        peak_memory_bytes: the most it has while it loads and answers.
        governor: of the core's frequency.
        temperature_before_c: of the device, degrees Celsius; `temperature_after_c` likewise.
        battery_percent: its charge when the run began.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="BenchmarkRow")

    kind: Literal["host", "emulator", "phone"]
    device: str = Field(min_length=1)
    soc: str
    os_build: str
    runtime: str
    exporter: str
    model: str
    artifact: str
    precision: Literal["fp32", "fp16", "int8", "int8_static"]
    artifact_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    lake_commit: str = Field(min_length=1)
    protocol_version: str
    mode: Literal["quick", "full"]
    delegate: str = ""
    warm_up: int
    first_us: float | None = None
    cold_load_ms: float | None = None
    cold_loads: int = 0
    import_ms: float | None = None
    baseline_memory_bytes: int | None = None
    peak_memory_bytes: int | None = None
    governor: str | None = None
    temperature_before_c: float | None = None
    temperature_after_c: float | None = None
    battery_percent: float | None = None

    @model_validator(mode="after")
    def _says_why(self) -> BenchmarkRow:
        if self.valid == bool(self.reasons):
            raise ValueError("a row is valid, or says the reasons why not")
        return self

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What a rerun of the same measurement has in common with it."""
        return self.kind, self.device, self.artifact, self.delegate


def schema() -> bytes:
    """The JSON schema of one row, as docs/schemas/benchmark_row.json publishes it."""
    told = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": f"One artifact measured on one device by version {PROTOCOL_VERSION} of the benchmark protocol. "
        "What is not known or not measured is null.",
        **{key: value for key, value in BenchmarkRow.model_json_schema().items() if key != "description"},
    }
    return (json.dumps(told, indent=1, sort_keys=True) + "\n").encode()


def changes(rows: Sequence[BenchmarkRow], before: Sequence[BenchmarkRow]) -> dict[str, float]:
    """How far medians differ from those of the last time: name of the artifact → relative change, 0.1 is 10 % slower.

    Only rows of the same device and protocol are held against each other.
    """
    last = {(row.place, row.protocol_version): row.p50_us for row in before}
    return {
        row.artifact: figure(row.p50_us / last[row.place, row.protocol_version] - 1)
        for row in rows
        if (row.place, row.protocol_version) in last
    }
