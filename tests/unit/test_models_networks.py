"""What each network promises of its scores, its losses and its chance."""

from __future__ import annotations

import pytest
import torch

from dfp_platform.models.configs import NetworkConfig
from dfp_platform.models.networks import NETWORKS, Vae, divergence
from dfp_platform.models.presets import resolve
from tests.configured import NETWORKS as PRESETS
from tests.configured import tiny

FEATURES = 12


def network(preset: str, *choices: str):
    model = tiny(preset, *choices).model
    assert isinstance(model, NetworkConfig)
    torch.manual_seed(1)
    return NETWORKS[model.kind](FEATURES, model)


@pytest.fixture
def batch():
    torch.manual_seed(2)
    return torch.randn(9, FEATURES), torch.tensor([0, 1, 0, 1, 0, 0, 1, 0, 1], dtype=torch.float32)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_answers_are_the_same_every_time(preset, batch):
    asked = network(preset).train()
    first, second = (torch.stack(asked(batch[0].exp())) for _ in range(2))
    assert torch.equal(first, second)
    assert ((first[0] >= 0) & (first[0] <= 1)).all()


@pytest.mark.parametrize("preset", ["ae_small", "vae"])
def test_a_usual_error_scores_one_half_and_nearer_apps_less(preset, batch):
    asked = network(preset)
    asked.usual_error.fill_(asked(batch[0].exp())[1].detach().median())
    scores, errors = asked(batch[0].exp())
    assert scores[errors == errors.median()].tolist() == [0.5]
    assert torch.equal(scores.argsort(), errors.argsort())


@pytest.mark.parametrize("preset", PRESETS)
def test_its_calibration_loss_leaves_nothing_to_chance(preset, batch):
    asked = network(preset)
    assert torch.equal(asked.calibration_loss(batch), asked.calibration_loss(batch))


def test_the_vae_draws_codes_in_training_and_weighs_their_divergence_more_and_more(batch):
    asked = network("vae", "model.kl_weight=1", "model.kl_warm_up=4")
    assert asked.loss(batch, 0) != asked.loss(batch, 0)
    assert [asked.weight_of_divergence(epoch) for epoch in (0, 2, 4, 9)] == [0, 0.5, 1, 1]
    assert network("vae", "model.kl_weight=1", "model.kl_warm_up=0").weight_of_divergence(0) == 1
    torch.manual_seed(5)
    early = asked.loss(batch, 0)
    torch.manual_seed(5)
    mean, log_variance = asked.encoder(batch[0]).split(asked.latent, dim=1)
    assert asked.loss(batch, 4).item() == pytest.approx((early + divergence(mean, log_variance).mean()).item())


def test_the_divergence_is_that_of_torch():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    drawn = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(drawn, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    assert torch.allclose(divergence(mean, log_variance), expected, atol=1e-6)
    assert isinstance(network("vae"), Vae)


def test_the_detector_learns_from_labels_and_from_what_it_reproduces(batch):
    blind, drawing = network("detector", "model.reconstruction_weight=0"), network("detector")
    flipped = (batch[0], 1 - batch[1])
    assert blind.loss(batch, 0) != blind.loss(flipped, 0)
    difference = (drawing.loss(batch, 0) - blind.loss(batch, 0)).item()
    assert difference == pytest.approx(0.1 * drawing.errors(batch[0]).mean().item(), rel=1e-4)


def test_the_detector_is_the_smallest_network():
    def parameters(preset: str) -> int:
        model = resolve({"model": preset}).model
        assert isinstance(model, NetworkConfig)
        return sum(value.numel() for value in NETWORKS[model.kind](474, model).parameters())

    sizes = {preset: parameters(preset) for preset in PRESETS}
    assert min(sizes, key=sizes.__getitem__) == "detector"
    assert max(sizes, key=sizes.__getitem__) == "ae_large"
