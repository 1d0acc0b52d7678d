"""Without outcomes, net1 learns to know a row again in its corrupted copy."""

import math
from dataclasses import replace

import pytest
import torch

from tabkit import (
    RowEncoder,
    RowPredictor,
    compare,
    estimators,
    fit_encoder,
    fit_jointly,
    from_frame,
    planted,
)
from tabkit.train.encoder import contrast_loss, corrupted, corruption_of


@pytest.fixture(scope="module")
def data(frame):
    return from_frame(
        frame.assign(pier=frame["gate"] % 2),
        categorical=["port", "gate", "pier"],
        continuous=["wind", "delay"],
        signal=["wind"],
    )


def copies_of(rows, data, corruption, generator):
    """The rows, a share of whose columns has the values of other training rows."""
    width = rows.codes.shape[1] + rows.continuous.shape[1]
    drawn = corruption_of(len(rows), width, data.train, corruption, generator)
    return corrupted(rows, data.rows, *drawn)


def test_a_copy_has_the_values_of_other_training_rows_in_a_share_of_the_columns(data, generator):
    rows = data.rows[data.test.repeat(40)]
    copies = copies_of(rows, data, 0.4, generator)
    changed = torch.cat([copies.codes != rows.codes, copies.continuous != rows.continuous], dim=1)
    assert changed.sum(dim=1).max() == 2, "two of the five columns"
    assert changed.any(dim=0).all(), "not always the same ones"
    trained = set(data.rows.continuous[data.train].flatten().tolist())
    drawn = copies.continuous[copies.continuous != rows.continuous]
    assert len(drawn) and set(drawn.tolist()) <= trained
    assert (copies_of(rows, data, 1e-9, generator).continuous != rows.continuous).any()


def test_the_loss_is_the_cross_entropy_of_minus_squared_distances(data):
    net1, index = RowEncoder(data.schema, Z=2, width=4, embedding_std=None), data.train[:5]
    drawn = torch.Generator().manual_seed(3)
    drawn = corruption_of(5, 5, data.train, 0.6, drawn)
    copies = corrupted(data.rows[index], data.rows, *drawn)
    a = net1(data.rows[index].codes, data.rows[index].continuous)
    b = net1(copies.codes, copies.continuous)
    shares = (-(torch.cdist(a, b) ** 2)).softmax(dim=1)
    loss = contrast_loss(net1, data, index, *drawn)
    torch.testing.assert_close(loss, -shares.diagonal().log().mean())


def nearest_is_own(net1, data, index):
    """The share of rows whose own copy is the nearest of all copies."""
    copies = copies_of(data.rows[index], data, 0.4, torch.Generator().manual_seed(0))
    a = net1(data.rows[index].codes, data.rows[index].continuous)
    distances = torch.cdist(a, net1(copies.codes, copies.continuous))
    return (distances.argmin(dim=1) == torch.arange(len(index))).float().mean().item()


def test_training_brings_a_rows_copy_nearer_than_others():
    """Among 200 rows that it was not trained on; by chance it would be 1 in 200."""
    known = planted(2_000, categorical=10, continuous=4, latent=3, cardinality=(4, 8))
    data = replace(known, outcomes=known.outcomes[:, :0], outcome_names=(), outcome_scale=())
    net1 = RowEncoder(data.schema, Z=8, width=32, embedding_std=None)
    before = nearest_is_own(net1, data, data.test)
    steps = fit_encoder(net1, data, steps=200, batch=128).run()
    assert nearest_is_own(net1, data, data.test) > max(0.1, 2 * before)
    assert steps[-1].loss < 0.8 * math.log(128) < steps[0].loss


def test_the_same_seed_gives_the_same_net_and_joint_training_takes_it_too(data):
    losses = []
    for _ in range(2):
        net1 = RowEncoder(data.schema, width=8, embedding_std=None)
        losses.append([s.loss for s in fit_encoder(net1, data, steps=3, batch=16).run()])
    assert losses[0] == losses[1]
    net0 = RowPredictor(1, net1, width=8)
    fit_jointly(net0, net1, data, estimators.make("softmax"), steps=2, batch=16).run()


def test_what_needs_outcomes_says_so(data):
    with pytest.raises(ValueError, match="frame has no outcomes"):
        compare.distance_correlation(RowEncoder(data.schema, embedding_std=None), data, data.test)


@pytest.mark.parametrize("corruption", [0.0, -0.1, 1.5])
def test_no_or_too_much_corruption_is_refused(data, corruption):
    with pytest.raises(ValueError, match="corruption must be"):
        fit_encoder(RowEncoder(data.schema, embedding_std=None), data, corruption=corruption)
