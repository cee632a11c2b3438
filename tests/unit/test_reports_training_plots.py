"""Plots of a training: SVG documents that stand alone, and only those that the figures give."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from dfp_platform.models.data import TrainingData
from dfp_platform.models.training import train
from dfp_platform.reports.training_plots import detection_plots, loss_plot
from dfp_platform.resources.tracking import _plots
from tests.apps import tiny_table
from tests.configured import tiny

SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: str) -> list[str]:
    """The drawn lines, each as its path."""
    return [path.attrib["d"] for path in ElementTree.fromstring(svg).iter(f"{SVG}path")]


def test_losses_are_two_lines_over_the_epochs() -> None:
    plot = loss_plot([(0.9, 1.0), (0.5, 0.7), (0.4, 0.6)])["loss.svg"]
    assert [line.count("L") for line in lines(plot)] == [2, 2]
    assert {"training", "calibration"} <= {text.text for text in ElementTree.fromstring(plot).iter(f"{SVG}text")}


@pytest.mark.parametrize("history", [[(0.5, 0.5)], [(0.0, 0.0), (0.0, 0.0)]])
def test_one_epoch_or_a_loss_that_stands_still_is_drawn_too(history: list[tuple[float, float]]) -> None:
    ElementTree.fromstring(loss_plot(history)["loss.svg"])


def test_no_epoch_is_no_plot() -> None:
    assert loss_plot([]) == {}


def test_a_test_of_one_label_has_scores_but_no_curves() -> None:
    scores = np.linspace(0, 1, 20, dtype=np.float32)
    assert set(detection_plots("m", scores, np.zeros(20, np.int8), threshold=0.5)) == {"scores.svg"}
    both = detection_plots("m", scores, (scores > 0.6).astype(np.int8), threshold=0.5)
    assert set(both) == {"scores.svg", "roc.svg", "precision_recall.svg"}
    assert all(ElementTree.fromstring(plot).tag == f"{SVG}svg" for plot in both.values())


@pytest.mark.parametrize("preset", ["xgboost", "ae_small"])
def test_a_training_without_a_future_is_plotted_without_a_test(preset: str) -> None:
    table = tiny_table()
    past = TrainingData.from_arrow(table.filter(np.array(table["time_split"].to_pylist()) == "past"))
    assert set(_plots(train(past, tiny(preset, "training.epochs=2"), progress=False), past)) == {"loss.svg"}
