"""Fixed values hold in every loop, estimator and decoder, for any net0."""

import pytest
import torch
from torch import nn

from tabkit import (
    DataError,
    RowEncoder,
    RowPredictor,
    decode,
    decoders,
    estimators,
    fit_jointly,
    fit_predictor,
    freeze,
    from_frame,
)

FIXED = {"port": "JFK", "wind": 12.5}
SMALL = {"steps": 2, "batch": 16}


@pytest.fixture
def net1(own):
    return freeze(RowEncoder(own.schema, Z=3, width=8, depth=1, D=4, embedding_std=None))


def check(rows, data):
    found = data.decode(rows)
    assert set(found["port"]) == {"JFK"}
    assert found["wind"].tolist() == pytest.approx([12.5] * len(found))
    return found


@pytest.mark.parametrize("name", estimators.names())
def test_they_hold_through_every_estimator_and_decoder(own, net1, name):
    estimator = estimators.make(name)
    net0 = RowPredictor(own.signal.shape[1], net1, head=estimator.head, width=8)
    fit_predictor(net0, net1, own, estimator, fixed=FIXED, **SMALL).run()
    for decoder in decoders.names():
        check(decode(net0, own.signal, net1, decoder=decoder, estimator=estimator), own)
    again = RowPredictor(own.signal.shape[1], net1, head=estimator.head, width=8, seed=1)
    again.load_state_dict(net0.state_dict())
    check(decode(again, own.signal, net1), own)
    if estimator.head == "logits":
        logits, numbers = again(own.signal)
        assert logits[:, [0, 2]].isneginf().all()
        assert (numbers == numbers[0]).all(), "what the loop saw"


class Plain(nn.Module):
    """A net0 of one's own, which knows nothing of fixed values."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 8)

    def forward(self, signal):
        return self.layer(signal).split([7, 1], dim=1)


def test_they_hold_for_a_net0_of_ones_own(own, net1):
    seen, net0 = [], Plain()

    def objective(_, batch):
        return lambda simplex: seen.append((simplex, batch.continuous)) or simplex.sum(1)

    softmax = estimators.make("softmax")
    fit_predictor(net0, net1, own, softmax, objective=objective, fixed=FIXED, **SMALL).run()
    for simplex, numbers in seen:
        assert (simplex[:, 1] == 1).all()
        assert (numbers == numbers[0, 0]).all()
    for decoder in decoders.names():
        check(decode(net0, own.signal, net1, decoder=decoder), own)


def test_they_can_be_given_when_rows_are_decoded(own, net1):
    net0, fixed = RowPredictor(2, net1, width=8), own.schema.fix(FIXED)
    before = decode(net0, own.signal, net1)
    for decoder in decoders.names():
        check(decode(net0, own.signal, net1, decoder=decoder, fixed=fixed), own)
    assert decode(net0, own.signal, net1) == before, "net0 is as it was"


def test_they_hold_in_joint_training(own):
    net1 = RowEncoder(own.schema, Z=3, width=8, embedding_std=None)
    net0 = RowPredictor(2, net1, width=8)
    fit_jointly(net0, net1, own, estimators.make("softmax"), fixed=FIXED, **SMALL).run()
    check(decode(net0, own.signal, net1), own)


def test_nothing_fixed_changes_nothing(own, net1):
    """The same losses and rows, bit by bit, whether nothing or an empty mapping is fixed."""
    found = []
    for fixed in (None, {}):
        net0 = RowPredictor(2, net1, width=8)
        fit = fit_predictor(net0, net1, own, estimators.make("softmax"), fixed=fixed, **SMALL)
        found.append([step.loss for step in fit.run()])
    assert found[0] == found[1]
    assert net0.mlp[-1].held is None


def test_what_cannot_be_fixed_is_refused_before_anything_trains(own, frame, net1):
    net0, softmax = RowPredictor(2, net1, width=8), estimators.make("softmax")
    for fixed, said in (({"prt": "JFK"}, "did you mean 'port'"), ({"port": "SFO"}, "choose one")):
        with pytest.raises(DataError, match=said):
            fit_predictor(net0, net1, own, softmax, fixed=fixed)
    lga = torch.tensor((frame["port"] == "LGA").tolist())
    rest = (~lga).nonzero()[:, 0]
    kinds = {"categorical": ["port", "gate"], "continuous": ["wind"], "outcomes": ["delay"]}
    data = from_frame(frame, **kinds, split=(rest[10:], rest[:10], lga.nonzero()[:, 0]))
    with pytest.raises(DataError, match="no training row has it") as error:
        fit_predictor(net0, net1, data, softmax, fixed={"port": "LGA"})
    assert "unseen=True" in error.value.remedy
    fit_predictor(net0, net1, data, softmax, fixed={"port": "LGA"}, unseen=True, **SMALL).run()
    assert set(data.decode(decode(net0, data.signal, net1))["port"]) == {"LGA"}
