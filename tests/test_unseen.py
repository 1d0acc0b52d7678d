"""What no training row has is never predicted, by any estimator and decoder, unless asked for."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tabkit import (
    RowEncoder,
    RowPredictor,
    compare,
    decode,
    decoders,
    estimators,
    fit_jointly,
    fit_predictor,
    freeze,
    from_frame,
    inspection,
)
from tabkit.simplex import one_hot


@pytest.fixture(scope="module")
def data():
    """Nobody is of the `other` categories, and whoever is flagged is in the test split."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"origin": draw.choice(["EU", "JP", "US"], 200), "kind": draw.choice(list("abcd"), 200)}
    )
    frame["y"] = frame["kind"].map(dict(zip("abcd", range(4), strict=True))) + draw.normal(size=200)
    columns = {"categorical": ["origin", "kind"], "outcomes": ["y"]}
    test = from_frame(frame, **columns).test
    frame["flag"] = frame.index.isin(test[:2].tolist())
    columns["categorical"].append("flag")
    return from_frame(frame, **columns, other={"origin": 0, "kind": 0})


@pytest.fixture
def net1(data):
    return freeze(RowEncoder(data.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))


def tempted(net0, net1, data):
    """Wants nothing but what was never seen."""
    last = net0.mlp[-1]
    with torch.no_grad():
        last.weight.zero_()
        if net0.head == "logits":
            last.bias[: data.schema.width][~data.seen] += 100.0
        else:
            unseen = [(~block).nonzero()[0, 0] for block in data.seen.split(K(data))]
            embedded = net1.embedding(torch.stack(unseen)[None])[0]
            last.bias[: len(embedded)] = embedded
    return net0


def K(data):  # noqa: N802
    return data.schema.cardinalities


def unseen_share(rows, data):
    """The share of the rows' categories that no training row has."""
    return (one_hot(rows.codes, K(data))[:, ~data.seen]).sum().item() / rows.codes.numel()


def test_the_data_have_what_was_never_seen(data):
    seen = data.seen.split(K(data))
    labels = {
        spec.name: [
            label for label, known in zip(spec.labels, s.tolist(), strict=True) if not known
        ]
        for spec, s in zip(data.schema.categorical, seen, strict=True)
    }
    assert labels == {"origin": ["(other)"], "kind": ["(other)"], "flag": ["True"]}


@pytest.mark.parametrize("name", estimators.names())
def test_no_estimator_and_no_decoder_predicts_it(data, net1, name):
    estimator = estimators.make(name)
    net0 = RowPredictor(data.signal.shape[1], net1, head=estimator.head, width=8)
    fit_predictor(tempted(net0, net1, data), net1, data, estimator, steps=2, batch=16).run()
    assert torch.equal(net0.allowed, data.seen)
    for decoder in decoders.names():
        rows = decode(net0, data.signal, net1, decoder=decoder, estimator=estimator)
        assert unseen_share(rows, data) == 0
    if estimator.rule.relaxes:
        handed = decoders.handed_over(net0, data.signal, net1, estimator=estimator)
        assert (handed.simplex[:, ~data.seen] == 0).all()


@pytest.mark.parametrize("head", ["logits", "embedding"])
def test_it_is_predicted_if_it_is_asked_for(data, net1, head):
    """Which is also the proof that the test above could fail."""
    name = {"logits": "softmax", "embedding": "direct_embedding"}[head]
    net0 = RowPredictor(data.signal.shape[1], net1, head=head, width=8)
    estimator, options = estimators.make(name), {"steps": 2, "batch": 16, "unseen": True}
    fit_predictor(tempted(net0, net1, data), net1, data, estimator, **options).run()
    for decoder in decoders.names():
        assert unseen_share(decode(net0, data.signal, net1, decoder=decoder), data) == 1
        rows = decode(net0, data.signal, net1, decoder=decoder, allowed=data.seen)
        assert unseen_share(rows, data) == 0


class Own(nn.Module):
    """A net0 of one's own, which knows nothing of masks."""

    def __init__(self, data):
        super().__init__()
        self.logits = nn.Linear(1, data.schema.width)
        with torch.no_grad():
            self.logits.bias[~data.seen] += 100.0

    def forward(self, signal):
        return self.logits(signal), signal[:, :0]


def test_a_net0_of_ones_own_does_not_predict_it_either(data, net1):
    for unseen in (False, True):
        net0, estimator = Own(data), estimators.make("gumbel_softmax")
        options = {"steps": 2, "batch": 16, "unseen": unseen}
        fit_predictor(net0, net1, data, estimator, **options).run()
        for decoder in decoders.names():
            rows = decode(net0, data.signal, net1, decoder=decoder, estimator=estimator)
            assert unseen_share(rows, data) == float(unseen)
        assert list(net0.state_dict()) == list(Own(data).state_dict())


def test_joint_training_masks_it_and_so_do_scores_rows_and_saved_weights(data):
    net1 = RowEncoder(data.schema, Z=3, width=16, depth=1, D=4, embedding_std=None)
    net0 = tempted(RowPredictor(1, net1, width=8), net1, data)
    softmax = estimators.make("softmax")
    fit_jointly(net0, net1, data, softmax, steps=2, batch=16).run()
    freeze(net1)
    assert unseen_share(decode(net0, data.signal, net1), data) == 0
    found = inspection.predicted_row(net0, net1, data)
    assert [found.shares[column].max() for column in ("origin", "kind")] != [1.0, 1.0]
    assert found.shares["flag"].tolist() == [1.0, 0.0]
    score = compare.score(net0, net1, data, softmax, data.train)
    assert score.accuracy["flag"] == 1
    again = RowPredictor(1, net1, width=8, seed=1)
    again.load_state_dict(net0.state_dict())
    assert unseen_share(decode(again, data.signal, net1), data) == 0


def test_what_net0_does_not_allow_of_its_own_stays_out(data, net1):
    """Beside what was never seen: a fit takes nothing back that a caller has ruled out."""
    net0 = RowPredictor(1, net1, width=8)
    ruled_out = torch.arange(data.schema.width) != 0
    net0.allow(ruled_out)
    fit_predictor(net0, net1, data, estimators.make("softmax"), steps=2, batch=16).run()
    assert torch.equal(net0.allowed, ruled_out & data.seen)
    assert (decode(net0, data.signal, net1).codes[:, 0] != 0).all()
