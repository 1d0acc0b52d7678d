"""`soften` on nets that other people's libraries make; all in the test extra, with exact pins.

``TABKIT_LIBRARIES=required`` makes a missing one a failure, as in continuous integration.
"""

import importlib
import os

import pytest
import torch
from torch import nn

from tabkit import (
    RowPredictor,
    Rows,
    decode,
    decoders,
    estimators,
    fit_predictor,
    freeze,
    planted,
    soften,
)
from tabkit.simplex import one_hot

K, N, Z = (5, 3, 7, 4), 3, 2
NAMES, NUMBERS = ("a", "b", "c", "d"), ("x", "y", "z")


def ft_transformer(library):
    options = library.FTTransformer.get_default_kwargs(n_blocks=1)
    options |= {"d_block": 16, "attention_n_heads": 2}
    net = library.FTTransformer(n_cont_features=N, cat_cardinalities=list(K), d_out=Z, **options)
    return net, lambda net, codes, x: net(x, codes)


def categorical_embeddings(library):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tables = library.CategoricalEmbeddings(list(K), 4)
            options = {"n_blocks": 2, "d_block": 16, "dropout": 0.1}
            self.mlp = library.MLP(d_in=4 * len(K) + N, d_out=Z, **options)

        def forward(self, codes, x):
            return self.mlp(torch.cat([self.tables(codes).flatten(1), x], dim=1))

    return Net(), None


def tabm(library):
    options = {"k": 4, "n_blocks": 2, "d_block": 16}
    net = library.TabM.make(n_num_features=N, cat_cardinalities=list(K), d_out=Z, **options)
    return net, lambda net, codes, x: net(x, codes).mean(1)


def tabnet(library):
    places = {"cat_idxs": list(range(len(K))), "cat_dims": list(K), "cat_emb_dim": [2, 1, 3, 2]}
    groups = torch.eye(len(K) + N)
    net = library.TabNet(
        len(K) + N, Z, n_d=4, n_a=4, n_steps=2, group_attention_matrix=groups, **places
    )
    return net, lambda net, codes, x: net(torch.cat([codes.to(x.dtype), x], dim=1))[0]


def frame_transformer(library):
    frame, stats = (importlib.import_module(f"torch_frame{n}") for n in ("", ".data.stats"))
    kinds = {frame.numerical: list(NUMBERS), frame.categorical: list(NAMES)}
    numbers = {stats.StatType.MEAN: 0.0, stats.StatType.STD: 1.0}
    known = dict.fromkeys(NUMBERS, numbers) | {
        name: {stats.StatType.COUNT: (list(range(k)), [1] * k)}
        for name, k in zip(NAMES, K, strict=True)
    }
    net = library.FTTransformer(
        channels=8, out_channels=Z, num_layers=1, col_stats=known, col_names_dict=kinds
    )

    def call(net, codes, x):
        return net(frame.TensorFrame({frame.numerical: x, frame.categorical: codes}, kinds))

    return net, call


def tab_transformer(library):
    sizes = {"dim": 8, "dim_out": Z, "depth": 1, "heads": 2, "mlp_act": nn.ReLU()}
    return library.TabTransformer(categories=K, num_continuous=N, **sizes), None


LIBRARIES = {
    "rtdl_revisiting_models, FT-Transformer": ("rtdl_revisiting_models", ft_transformer),
    "rtdl_revisiting_models, MLP": ("rtdl_revisiting_models", categorical_embeddings),
    "tabm": ("tabm", tabm),
    "pytorch_tabnet": ("pytorch_tabnet.tab_network", tabnet),
    "torch_frame": ("torch_frame.nn", frame_transformer),
    "tab_transformer_pytorch": ("tab_transformer_pytorch", tab_transformer),
}


def loaded(module):
    """A library's module; skipped, or a failure, where it is not installed."""
    if os.environ.get("TABKIT_LIBRARIES") == "required":
        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"{module} is not installed: make env")


@pytest.fixture(params=LIBRARIES)
def theirs(request):
    module, make = LIBRARIES[request.param]
    library = loaded(module)
    torch.manual_seed(0)
    net, call = make(library)
    return freeze(net), call


def rows_of(count, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    codes = torch.stack([torch.randint(k, (count,), generator=drawn) for k in K], dim=1)
    return Rows(codes, torch.randn(count, N, generator=drawn))


@pytest.mark.filterwarnings("ignore")
def test_a_librarys_net_is_followed(theirs):
    net, call = theirs
    state = {name: value.clone() for name, value in net.state_dict().items()}
    soft = soften(net, rows_of(300), K, call)
    for count, seed in ((1, 1), (64, 2)):
        rows = rows_of(count, seed)
        expected = (call or (lambda net, codes, x: net(codes, x)))(
            net, rows.codes.clone(), rows.continuous
        )
        found = soft(one_hot(rows.codes, K, torch.float32), rows.continuous)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    z = torch.cat([torch.randn(8, k).softmax(1) for k in K], dim=1).requires_grad_()
    (gradient,) = torch.autograd.grad(soft(z, rows_of(8).continuous).sum(), z)
    assert all(block.abs().sum() > 0 for block in gradient.split(K, dim=1))
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.filterwarnings("ignore")
def test_net0_learns_behind_a_librarys_net_and_every_decoder_decodes():
    library = loaded("rtdl_revisiting_models")
    data = planted(600, categorical=3, continuous=N, cardinality=(3, 6))
    options = library.FTTransformer.get_default_kwargs(n_blocks=1)
    options |= {"d_block": 16, "attention_n_heads": 2}
    torch.manual_seed(0)
    cardinalities = list(data.schema.cardinalities)
    net = library.FTTransformer(
        n_cont_features=N, cat_cardinalities=cardinalities, d_out=4, **options
    )
    net1 = soften(freeze(net), data.rows, data.schema, lambda net, codes, x: net(x, codes))
    for name in ("softmax", "straight_through_gumbel", "direct_embedding"):
        estimator = estimators.make(name)
        net0 = RowPredictor(data.signal.shape[1], net1, head=estimator.head, width=16)
        fit = fit_predictor(net0, net1, data, estimator, steps=60, batch=64, lr=3e-3)
        losses = [step.loss for step in fit]
        assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
    assert set(decoders.possible(net1)) == {"argmax", "table", "search", "restarts"}
    for decoder in decoders.possible(net1):
        rows = decode(net0, data.signal[:9], net1, decoder=decoder, estimator=estimator)
        assert rows.codes.shape == (9, 3)
