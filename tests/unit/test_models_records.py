"""Records have one JSON form; rooms of models load without their heavy libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dfp_platform.errors import CorruptLakeError
from dfp_platform.models.configs import AutoencoderConfig
from dfp_platform.models.records import Record

HEAVY = ("torch", "lightning", "xgboost", "onnx", "onnxscript", "onnxruntime", "sklearn", "mlflow", "pandas", "polars")
LOADED = (
    "dfp_platform.models",
    "dfp_platform.models.configs",
    "dfp_platform.models.data",
    "dfp_platform.models.evaluation",
    "dfp_platform.models.parts",
    "dfp_platform.models.presets",
    "dfp_platform.models.reference",
    "dfp_platform.models.replayed",
    "dfp_platform.models.tracked",
    "dfp_platform.models.tracking",
    "dfp_platform.models.training",
    "dfp_platform.mobile.benchmark",
    "dfp_platform.mobile.interface",
    "dfp_platform.mobile.parity",
    "dfp_platform.mobile.scoring",
)


class Pair(Record):
    name: str
    figure: float | None = None


def test_equal_records_are_equal_bytes_with_sorted_keys():
    assert Pair(figure=0.1, name="ü").to_json() == b'{\n "figure": 0.1,\n "name": "\xc3\xbc"\n}\n'
    assert Pair.from_json(Pair(name="a", figure=1e-300).to_json()) == Pair(name="a", figure=1e-300)


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_refused(figure):
    with pytest.raises(ValueError, match="JSON compliant"):
        Pair(name="a", figure=figure).to_json()


@pytest.mark.parametrize("data", [b"", b"{}", b'{"name": "a", "other": 1}', b'{"name": 3}', b"\xff"])
def test_bytes_that_are_no_such_record_are_called_corrupt(data):
    with pytest.raises(CorruptLakeError, match="no Pair"):
        Pair.from_json(data)


def test_a_config_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="latant"):
        AutoencoderConfig(latant=3)


def test_importing_the_rooms_imports_no_heavy_library():
    code = (
        f"import sys, importlib; [importlib.import_module(name) for name in {LOADED}]; "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
