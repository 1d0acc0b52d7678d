"""Apple's MPS is no CUDA and has no float64: what is asked of a device is asked in one place."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tabkit import (
    RowPredictor,
    decode,
    decoders,
    devices,
    estimators,
    fit_predictor,
    freeze,
    soften,
)
from tabkit.fast import folding
from tabkit.nets import encode_rows, folded
from tabkit.soften import doubled

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


def test_what_devices_can_do():
    assert [devices.wide(d) for d in (CPU, CUDA, MPS)] == [torch.float64] * 2 + [torch.float32]
    for asked in (devices.captures, devices.is_gpu):
        assert [asked(d) for d in (CPU, CUDA, MPS)] == [False, True, False]
    assert [devices.shares_memory(d) for d in (CPU, CUDA, MPS)] == [True, False, False]
    devices.wait(CPU)


class Wide(TorchDispatchMode):
    """Notes every operation that gives a float64."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves(result) if isinstance(t, torch.Tensor)]
        self.found += [str(function) for t in tensors if t.dtype == torch.float64]
        return result


@pytest.fixture
def narrow(monkeypatch):
    """As if the device had no float64."""
    for module in (folding, doubled):
        monkeypatch.setattr(module, "wide", lambda device: torch.float32)


@pytest.mark.parametrize("name", ["softmax", "straight_through_gumbel", "reinmax", "indecater"])
def test_where_there_is_no_float64_none_is_made(name, dataset, net1, narrow):
    estimator, net0 = estimators.make(name), RowPredictor(dataset.signal.shape[1], net1, width=8)
    with Wide() as wide:
        encode_rows(folded(net1), dataset.rows)
        fit_predictor(net0, net1, dataset, estimator, steps=3, batch=16, decode_every=1).run()
        for decoder in decoders.names():
            decode(net0, dataset.signal[:9], net1, decoder=decoder, estimator=estimator)
    assert wide.found == []


def test_a_net_is_softened_without_float64(dataset, net1, narrow):
    soft = soften(freeze(Codes(net1)), dataset.rows, dataset.schema)
    z = torch.cat([torch.full((2, k), 1 / k) for k in net1.cardinalities], dim=1)
    torch.testing.assert_close(
        soft(z, dataset.rows.continuous[:2]), net1(z, dataset.rows.continuous[:2])
    )


class Codes(torch.nn.Module):
    """A net that takes codes alone."""

    def __init__(self, net1):
        super().__init__()
        self.net1 = net1

    def forward(self, codes, continuous):
        found = [t(codes[:, c]) for c, t in enumerate(self.net1.embedding.tables)]
        return self.net1.mlp(torch.cat([*found, continuous], dim=1))
