"""Models of a branch are judged by several seeds, each on apps of its own device, and only where something changed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dfp_platform.errors import CalibrationError, InputError
from dfp_platform.models import judging
from dfp_platform.models.evaluation import EvaluationReport
from dfp_platform.models.judging import judge_models
from dfp_platform.models.parts import parts
from dfp_platform.models.training import train
from tests.apps import tiny_table
from tests.configured import tiny

TABLE = tiny_table()


def files_of(preset: str, table: pa.Table = TABLE, *choices: str):
    told = tiny(preset, "training.epochs=2", *choices)
    return train(parts(table, told.data, told.split), told, progress=False).files


@pytest.fixture(scope="module")
def models():
    return {"autoencoder": files_of("ae_small"), "xgboost": files_of("xgboost")}


def judged(models, table=TABLE, **options) -> tuple[EvaluationReport, list[str]]:
    sentences: list[str] = []
    report = judge_models(models, table, seed=7, seeds=3, resamples=12, progress=sentences.append, **options)
    return report, sentences


@pytest.fixture(scope="module")
def report(models):
    return judged(models)[0]


def test_a_network_is_judged_by_several_seeds_and_trees_without_chance_by_one(report):
    network, trees = report.models["autoencoder"], report.models["xgboost"]
    assert (network.seeds, trees.seeds) == ((7, 8, 9), (7,))
    assert len(set(network.over_months.f1.by_seed)) == 3
    assert network.over_months.f1.value == pytest.approx(np.mean(network.over_months.f1.by_seed), abs=1e-6)
    assert network.overall.f1_interval[0] < network.overall.f1 < network.overall.f1_interval[1]


def test_what_nothing_has_changed_of_is_not_computed_again(models, report):
    again, sentences = judged(models, known=report)
    assert (again, sentences) == (report, [])
    assert again.to_json() == report.to_json()
    other = {**models, "xgboost": files_of("xgboost", TABLE, "training.epochs=3")}
    third, sentences = judged(other, known=report)
    assert [line.split()[:2] for line in sentences] == [["judging", "xgboost"]]
    assert third.models["autoencoder"] == report.models["autoencoder"]


def test_other_apps_and_other_seeds_are_judged_again(models, report):
    assert judged(models, TABLE.slice(0, 1_199), known=report)[1]
    assert judge_models(models, TABLE, seed=8, seeds=1, resamples=12, known=report).models["autoencoder"].seeds == (7,)


def test_devices_are_never_mixed(models, report):
    elsewhere = tiny_table(seed=2).set_column(2, "device", pa.array(["emulator"] * 1_200))
    both = pa.concat_tables([TABLE, elsewhere])
    more = {**models, "xgboost_emulator": files_of("xgboost", elsewhere, "data=emulator")}
    found, _ = judged(more, both, known=report)
    assert [(device.device, [m.model for m in device.models]) for device in found.devices] == [
        ("emulator", ["xgboost_emulator"]),
        ("real_device", ["autoencoder", "xgboost"]),
    ]
    assert found.of("autoencoder", "xgboost") == report.of("autoencoder", "xgboost")
    with pytest.raises(InputError, match="were not judged"):
        found.of("autoencoder", "xgboost_emulator")


def test_a_model_that_these_apps_cannot_judge_is_left_out_and_says_why(models):
    found, _ = judged({"autoencoder": models["autoencoder"]}, TABLE.drop_columns(["app_f2"]))
    assert found.devices == ()
    assert "wants the feature app_f2" in found.left_out["autoencoder"]
    earlier = TABLE.slice(0, 400).set_column(
        TABLE.column_names.index("time_split"), "time_split", pa.array(["past"] * 300 + ["future"] * 100)
    )
    found, _ = judged({"autoencoder": models["autoencoder"]}, earlier)
    assert "it has seen apps until 2019-" in found.left_out["autoencoder"]
    with pytest.raises(InputError, match="it has seen apps until"):
        found.of("autoencoder")


def test_a_model_split_by_hash_is_asked_about_what_it_has_not_seen_and_takes_nothing_from_the_others(models, report):
    parts_of = pa.array(["test" if row % 4 == 0 else "train" if row % 2 else "validation" for row in range(1_200)])
    table = TABLE.set_column(TABLE.column_names.index("split"), "split", parts_of)
    hashed = files_of("detector", table, "split=hash")
    found, _ = judged({**models, "detector_real_device": hashed}, table, known=report)
    assert found.models["xgboost"] == report.models["xgboost"]
    assert found.models["detector_real_device"].overall.apps == report.models["xgboost"].overall.apps // 4


def test_a_model_whose_device_these_apps_lack_holds_nothing_back(models, report):
    elsewhere = tiny_table(seed=2).set_column(2, "device", pa.array(["emulator"] * 1_200))
    found, _ = judged({**models, "xgboost_emulator": files_of("xgboost", elsewhere, "data=emulator")}, known=report)
    assert found.left_out == {"xgboost_emulator": "there is no app of the emulator to test it by"}
    assert found.devices == report.devices


def test_a_seed_whose_training_fails_is_named_and_the_others_count(models, monkeypatch):
    def fails_by_eight(apps, configuration, **options):
        if configuration.training.seed == 8:
            raise CalibrationError("the training diverged", hint="")
        return train(apps, configuration, **options)

    monkeypatch.setattr(judging, "train", fails_by_eight)
    found, sentences = judged({"autoencoder": models["autoencoder"]})
    assert (found.models["autoencoder"].seeds, found.models["autoencoder"].failed_seeds) == ((7, 9), (8,))
    assert "autoencoder by seed 8 failed: the training diverged" in sentences


def test_a_report_of_an_earlier_version_counts_as_none():
    assert EvaluationReport.found_in(b'{"device": "real_device", "models": []}') is None
    assert EvaluationReport.found_in(None) is None
