"""The one contract: a scalar whose value is the relaxed loss and whose backward is the estimate."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from tabkit import Objective, SoftEmbedding, estimators, fast
from tabkit.schema import check_simplex
from tabkit.simplex import argmax_codes, one_hot

CARDINALITIES = (3, 1, 4)
F = sum(CARDINALITIES)
COLUMNS = [slice(0, 3), slice(3, 4), slice(4, 8)]
EMBEDDING = ["direct_embedding", "vq_straight_through", "rotation_trick"]
LOGIT_NAMES = [n for n in estimators.names() if n not in EMBEDDING]
LABELLED = "cross_entropy"
DECODED = ["hard_argmax", "straight_through_argmax", LABELLED]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SOFT = ["softmax", "gumbel_softmax", "sparsemax", "entmax15", "perturbed_argmax", "rebar"]


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


class Behind(Objective):
    """A loss behind a small frozen net, which keeps every simplex that it is shown."""

    def __init__(self, rows=6, dtype=torch.float32, cardinalities=CARDINALITIES):
        generator = torch.Generator().manual_seed(1)
        self.embedding = SoftEmbedding(cardinalities, 2, generator=generator).to(dtype)
        self.embedding.requires_grad_(False)
        self.widths = self.embedding.widths
        self.into = normal(sum(self.widths) + 2, 6, seed=2, dtype=dtype)
        self.out = normal(6, 3, seed=3, dtype=dtype)
        self.continuous = normal(rows, 2, seed=4, dtype=dtype).requires_grad_()
        self.codes = torch.zeros(rows, len(cardinalities), dtype=torch.int64)
        self.shown = []

    def loss(self, simplex):
        self.shown.append(simplex.detach())
        return self.embedded(self.embedding(simplex))

    def embedded(self, embedded):
        hidden = torch.cat([embedded, self.continuous], 1) @ self.into
        return (hidden.tanh() @ self.out).square().sum(1)

    def distances(self, embedded):
        return self.embedding.negative_distances(embedded)

    def snap(self, embedded):
        return self.embedding(argmax_codes(self.distances(embedded), self.embedding.cardinalities))


def leaf(name, rows=6, dtype=torch.float32, scale=1.0, seed=7):
    """What net0 would output for this estimator: logits, or an embedding."""
    width = 2 * len(CARDINALITIES) if name in EMBEDDING else F
    return (scale * normal(rows, width, seed=seed, dtype=dtype)).requires_grad_()


def run(name, logits, objective, *, seed=0, cardinalities=CARDINALITIES, estimator=None):
    """Loss, gradient of the logits (0 if there is none) and gradient of the continuous outputs."""
    loss = (estimator or estimators.make(name))(
        logits,
        objective,
        cardinalities=cardinalities,
        generator=torch.Generator().manual_seed(seed),
    )
    inputs = (logits, objective.continuous)
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return loss.detach(), *gradients


def warmed(name):
    """An estimator that has seen a few batches, so that what it learns is not at its start."""
    estimator = estimators.make(name)
    for seed in range(3):
        run(name, leaf(name, seed=seed), Behind(), seed=seed, estimator=estimator)
    return estimator


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", estimators.names())
def test_a_scalar_trains_the_logits_and_the_continuous_outputs_in_any_float_type(name, dtype):
    objective, logits = Behind(dtype=dtype), leaf(name, dtype=dtype)
    knobs = {"adaptive_imle": {"rate": 0.3}, "imle": {"step": 10.0}}.get(name, {})
    estimator = estimators.make(name, **knobs)
    for seed in range(3):  # the adaptive step is 0 at first
        loss, gradient, continuous = run(name, logits, objective, seed=seed, estimator=estimator)
        assert loss.shape == ()
        assert loss.isfinite()
        for found in (gradient, continuous):
            assert found.dtype == dtype
            assert found.isfinite().all()
        assert (continuous != 0).any()
    assert (gradient == 0).all() == (name == "hard_argmax")
    for simplex in objective.shown:
        assert simplex.dtype == dtype
        check_simplex(simplex, CARDINALITIES)
        assert name in SOFT or ((simplex == 0) | (simplex == 1)).all()


@pytest.mark.parametrize("name", estimators.names())
def test_the_value_is_the_mean_loss_of_what_the_objective_was_shown(name):
    """Of all of it, but for tries (of one column, or of the control variate) after the first."""
    objective, logits = Behind(), leaf(name)
    loss, _, _ = run(name, logits, objective)
    if name in EMBEDDING:
        shown = logits if name == "direct_embedding" else objective.snap(logits)
        expected = objective.embedded(shown)
    elif name == "exact":
        return  # an expectation, whose oracle is enumeration by hand
    else:
        first = objective.shown[:1] if name in ("indecater", "top_k_sample", "rebar") else None
        expected = torch.cat([objective(s) for s in first or list(objective.shown)])
    torch.testing.assert_close(loss, expected.mean().detach())


@pytest.mark.parametrize("name", DECODED)
def test_estimators_at_the_decoded_row_have_the_decoded_loss(name):
    objective, logits = Behind(), leaf(name)
    row = one_hot(argmax_codes(logits, CARDINALITIES), CARDINALITIES)
    torch.testing.assert_close(run(name, logits, objective)[0], objective(row).mean().detach())


def test_softmax_has_the_mixtures_loss_and_its_gradient():
    objective, logits = Behind(), leaf("softmax")
    mixture = torch.cat([logits[:, c].softmax(1) for c in COLUMNS], 1)
    expected = objective(mixture).mean()
    loss, gradient, _ = run("softmax", logits, objective)
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, logits)[0])


def test_cross_entropy_has_its_own_gradient():
    objective, logits = Behind(), leaf(LABELLED)
    objective.codes = torch.tensor([[0, 0, 3], [2, 0, 1]]).repeat(3, 1)
    nats = sum(cross_entropy(logits[:, c], objective.codes[:, i]) for i, c in enumerate(COLUMNS))
    (expected,) = torch.autograd.grad(nats, logits)
    torch.testing.assert_close(run(LABELLED, logits, objective)[1], expected)


def test_the_hard_argmax_has_a_graph_and_gives_the_logits_no_gradient():
    """So that one loop can drive it like the others, also where nothing else is to be learnt."""
    logits = leaf("hard_argmax")
    loss = estimators.make("hard_argmax")(logits, lambda s: s.sum(1), cardinalities=CARDINALITIES)
    loss.backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", estimators.names())
@settings(max_examples=20)
@given(exponent=st.floats(-3, 3), seed=st.integers(0, 2**31))
def test_gradients_are_finite_at_any_scale_of_the_logits(name, exponent, seed):
    logits = leaf(name, scale=10**exponent, seed=seed)
    for found in run(name, logits, Behind(), seed=seed):
        assert found.isfinite().all()


@pytest.mark.parametrize("name", estimators.names())
def test_non_contiguous_logits_give_the_same(name):
    logits = leaf(name)
    strided = logits.detach().T.contiguous().T.requires_grad_()
    assert not strided.is_contiguous()
    for a, b in zip(run(name, logits, Behind()), run(name, strided, Behind()), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_a_column_of_one_category_gets_no_gradient(name):
    """Up to rounding: in leave-one-out the losses' differences sum to 0, not quite to the bit."""
    gradient = run(name, leaf(name), Behind(), estimator=warmed(name))[1]
    assert gradient[:, COLUMNS[1]].abs().max() < 1e-6


NO_GRADIENT = ["hard_argmax", "adaptive_imle"]  # the second: in its first call
NOISE_IN_EVERY_COLUMN = ["reinforce", "leave_one_out", "rebar"]


@pytest.mark.parametrize("name", [n for n in LOGIT_NAMES if n not in (*NO_GRADIENT, LABELLED)])
def test_a_column_that_does_not_matter_learns_next_to_nothing(name):
    logits = normal(200, 8).requires_grad_()
    weights = torch.cat([torch.zeros(4), torch.arange(4.0)])
    loss = estimators.make(name)(
        logits,
        lambda simplex: simplex @ weights,
        cardinalities=(4, 4),
        generator=torch.Generator().manual_seed(0),
    )
    idle, learning = torch.autograd.grad(loss, logits)[0].split(4, 1)
    assert learning.abs().sum() > 10 * idle.abs().sum() or name in NOISE_IN_EVERY_COLUMN
    assert (learning != 0).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_a_masked_category_is_never_chosen_and_gets_no_gradient(name, dtype):
    logits = leaf(name, rows=40, dtype=dtype).detach()
    masked = torch.zeros_like(logits, dtype=torch.bool)
    masked[:20, 1] = masked[20:, 0] = masked[20:, 2] = True  # one of a column, or all but one
    masked[:, 5] = True
    logits = logits.masked_fill(masked, -math.inf).requires_grad_()
    objective, estimator = Behind(40, dtype), warmed(name)
    objective.codes[:20, 0], objective.codes[20:, 0] = 2, 1
    for seed in range(3):
        loss, gradient, continuous = run(name, logits, objective, seed=seed, estimator=estimator)
        for found in (loss, gradient, continuous):
            assert found.isfinite().all()
        assert (gradient[masked] == 0).all()
    tried = name in ("exact", "indecater", "top_k_sample")  # their tries weigh 0
    shown = objective.shown[:1] if tried else objective.shown
    assert name == "exact" or all((simplex[masked] == 0).all() for simplex in shown)
    handed = estimator.simplex(logits, cardinalities=CARDINALITIES)
    assert (handed[masked] == 0).all()


@pytest.mark.parametrize("name", ["exact", "indecater", "top_k_sample"])
def test_a_masked_category_that_is_tried_weighs_nothing(name):
    """However large its loss is."""
    logits = normal(200, F)
    logits[:, 1] = -math.inf
    estimator = estimators.make(name, **({"k": 3} if name == "top_k_sample" else {}))

    def gradient(price):
        prices = torch.tensor([1.0, price, *[2.0] * 6])
        leaf = logits.clone().requires_grad_()
        loss = estimator(
            leaf,
            lambda simplex: (simplex @ prices).square(),
            cardinalities=CARDINALITIES,
            generator=torch.Generator().manual_seed(0),
        )
        return torch.autograd.grad(loss, leaf)[0]

    torch.testing.assert_close(gradient(1e9), gradient(0.0))


@pytest.mark.parametrize("name", LOGIT_NAMES)
@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ((2, slice(0, 3)), -math.inf, "no allowed category"),
        ((2, 3), -math.inf, "no allowed category"),
        ((2, 1), math.inf, "NaN or plus infinity"),
        ((2, 1), math.nan, "NaN or plus infinity"),
    ],
)
def test_logits_that_mean_nothing_are_refused(name, place, value, told):
    logits = leaf(name).detach()
    logits[place] = value
    with pytest.raises(ValueError, match=told):
        run(name, logits.requires_grad_(), Behind())


TOLD = {
    "codes": "TypeError: logits are floats, not torch.int64: codes have no gradient",
    "complex": "TypeError: logits are floats, not torch.complex64: codes have no gradient",
    "a list": "TypeError: logits are a tensor (B, F), not list",
    "one row": "ValueError: logits are (B, F), not of the shape (8,)",
    "too wide": "ValueError: a row is 9 wide, but the cardinalities (3, 1, 4) sum to 8",
    **{
        wrong: f"ValueError: cardinalities are one or more whole numbers from 1 on, not {K}"
        for wrong, K in {
            "a float": (3.0, 1, 4),
            "a truth": (3, True, 4),
            "nothing": (4, 0, 4),
            "no column": (),
        }.items()
    },
}


@pytest.mark.parametrize("wrong", TOLD)
def test_what_are_no_logits_or_cardinalities_is_told_by_every_estimator(wrong, plain_torch):
    """In the same words. Integers, divided by a temperature, would be codes of nothing."""
    found = plain_torch["refused"][wrong]
    assert found.keys() == set(LOGIT_NAMES)
    assert {said for ways in found.values() for said in ways.values()} == {TOLD[wrong]}


@pytest.mark.parametrize("name", estimators.names())
def test_the_same_generator_gives_the_same_and_the_global_stream_is_left_alone(name):
    before = torch.random.get_rng_state()
    first, again = (run(name, leaf(name), Behind(), estimator=warmed(name)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", estimators.names())
@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_of_one_row_or_none(name, rows):
    estimator = warmed(name)
    learnt = dict(estimator.state)
    loss, gradient, continuous = run(name, leaf(name, rows), Behind(rows), estimator=estimator)
    assert loss.shape == ()
    assert gradient.shape == leaf(name, rows).shape
    assert continuous.shape == (rows, 2)
    assert gradient.isfinite().all()
    assert loss.isfinite()
    if not rows:
        assert loss == 0
        assert estimator.state == learnt


@pytest.mark.parametrize("name", estimators.names())
def test_without_gradients_it_gives_the_value_and_learns_nothing(name):
    estimator = warmed(name)
    learnt = dict(estimator.state)
    expected, _, _ = run(name, leaf(name), Behind(), estimator=estimator)
    estimator.state.clear()
    estimator.state.update(learnt)
    with torch.no_grad():
        loss = estimator(
            leaf(name),
            Behind(),
            cardinalities=CARDINALITIES,
            generator=torch.Generator().manual_seed(0),
        )
    assert not loss.requires_grad
    torch.testing.assert_close(loss, expected)
    assert estimator.state == learnt


def test_an_objective_that_lacks_what_the_estimator_needs_is_refused():
    for name in LOGIT_NAMES:
        if name != LABELLED:
            assert estimators.make(name)(
                leaf(name), lambda s: s.square().sum(1), cardinalities=CARDINALITIES
            ).isfinite()
    needs = {
        "direct_embedding": "takes no embeddings",
        "vq_straight_through": "knows no embedding tables",
        "rotation_trick": "knows no embedding tables",
        LABELLED: "true codes",
    }
    for name, told in needs.items():
        with pytest.raises(TypeError, match=told):
            estimators.make(name)(leaf(name), lambda s: s.sum(1), cardinalities=CARDINALITIES)


@pytest.mark.parametrize("wrong", [lambda s: s.sum(1, keepdim=True), lambda s: s.sum()])
@pytest.mark.parametrize("name", ["softmax", "exact", "leave_one_out", "hard_argmax"])
def test_an_objective_that_is_not_one_loss_per_row_is_refused(name, wrong):
    with pytest.raises(ValueError, match=r"of shape \(6,\)"):
        estimators.make(name)(leaf(name), wrong, cardinalities=CARDINALITIES)


@pytest.mark.parametrize("name", estimators.names(relaxations=True))
def test_torch_transforms_a_relaxation_and_compiles_whole_losses(name, plain_torch):
    """But the sparse projections, whose library has functions that torch cannot transform."""
    if name in ("sparsemax", "entmax15"):
        assert name not in plain_torch["losses"]
        return
    assert set(plain_torch["losses"][name].values()) == {"equal"}, plain_torch["losses"][name]


CONSTANT = {  # with a graph, and without one
    "flat": lambda s: 0 * s.sum(1) + 2.0,
    "no graph": lambda s: torch.full((len(s),), 2.0, dtype=s.dtype),
}


@pytest.mark.parametrize("constant", CONSTANT)
@pytest.mark.parametrize("name", [n for n in LOGIT_NAMES if n != LABELLED])
def test_a_constant_objective_gives_next_to_no_gradient_and_no_nan(name, constant):
    """Only rounding, and the scatter of scores without a baseline."""
    estimator, logits = estimators.make(name), leaf(name)
    for _ in range(3):
        loss = estimator(logits, CONSTANT[constant], cardinalities=CARDINALITIES)
        (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(loss.detach(), torch.tensor(2.0))
    assert gradient.abs().max() < (1 if name in NOISE_IN_EVERY_COLUMN else 1e-6)
    assert all(math.isfinite(value) for value in estimator.state.values())


TEMPERED = {n: [k for k in estimators.make(n).knobs if "tau" in k] for n in LOGIT_NAMES}
ENDS = [3.4e38, -3.4e38, 1e30, 0.0]


@pytest.mark.parametrize("tau", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_masks_hold_at_every_temperature_and_beside_logits_of_any_size(name, tau):
    """No NaN either. A block whose largest is the least float leaves no room for a stand-in."""
    estimator = estimators.make(name, **dict.fromkeys(TEMPERED[name], tau))
    for end in ENDS:
        logits = leaf(name).detach()
        logits[:, 0] = logits[:, 3] = logits[:, 7] = end
        logits[:, 1] = logits[:, 2] = logits[:3, 4] = -math.inf
        masked, objective = logits.isneginf(), Behind()
        logits.requires_grad_()
        for found in run(name, logits, objective, estimator=estimator)[:2]:
            assert found.isfinite().all()
        assert (found[masked] == 0).all()
        handed = estimator.simplex(logits, cardinalities=CARDINALITIES)
        assert (handed[masked] == 0).all()
        assert (handed[:, 0] == 1).all()
        assert estimators.entropy(logits, CARDINALITIES).isfinite().all()


NOISY = ["straight_through_gumbel", "straight_through_sample", "gumbel_rao", "imle", "reinforce"]


@pytest.mark.parametrize("name", [*NOISY, "decoupled_straight_through_gumbel"])
@pytest.mark.parametrize("top", [0.0, 1e9, -1e30])
def test_equal_logits_are_drawn_equally_often_however_large_they_are(name, top):
    """Beside 1e9 float32 knows no noise; only differences count. Within 5 standard errors."""
    drawn, rows = [], 400
    cost = Objective(lambda s: drawn.append(s.detach()) or s[:, 0])
    logits = torch.tensor([[top, top, -math.inf]]).expand(rows, 3)
    knobs = {"sampling_tau": 1e-9} if name.startswith("decoupled") else {}
    generator = torch.Generator().manual_seed(0)
    estimators.make(name, **knobs)(
        logits.clone().requires_grad_(), cost, cardinalities=(3,), generator=generator
    )
    assert abs(drawn[0][:, 0].mean() - 0.5) < 5 * 0.5 / rows**0.5


def test_labels_that_are_none_of_these_rows_are_refused():
    for codes, said in (
        (torch.zeros(5, 3, dtype=torch.int64), "6 rows of logits, but 5 of codes"),
        (torch.full((6, 3), 9), "a code of this column lies in 0 to 2"),
    ):
        objective = Behind()
        objective.codes = codes
        with pytest.raises(ValueError, match=said):
            run(LABELLED, leaf(LABELLED), objective)


@pytest.mark.parametrize("name", EMBEDDING)
def test_embeddings_that_mean_nothing_are_refused(name):
    bad = leaf(name).detach()
    bad[2, 1] = math.nan
    for wrong, said in ((bad, "row 2 is not finite"), (torch.zeros(6, 7), "7 wide")):
        with pytest.raises(ValueError, match=said):
            run(name, wrong.requires_grad_(), Behind())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_half_logits_go_through_the_fast_functions_too(name, dtype):
    with fast.use("fast"):
        for found in run(name, leaf(name, dtype=dtype), Behind(dtype=dtype)):
            assert found.isfinite().all()


@pytest.mark.parametrize("name", ["vq_straight_through", "rotation_trick"])
def test_an_embedding_too_far_to_be_squared_is_drawn_back_all_the_same(name):
    """In half precision the square of 256 is none; its gradient is."""
    embedded = leaf(name, dtype=torch.float16).detach()
    embedded[0, 0] = 1e4
    loss, gradient, _ = run(name, embedded.requires_grad_(), Behind(dtype=torch.float16))
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient[0, 0] > 0


@pytest.mark.parametrize("name", LOGIT_NAMES)
def test_masks_hold_where_nobody_looks_as_on_a_gpu(name):
    logits = leaf(name).detach()
    logits[:, 1] = logits[:3, 4] = -math.inf
    masked, logits = logits.isneginf(), logits.requires_grad_()
    expected = run(name, logits, Behind())
    with fast.look(False):
        found = run(name, logits, Behind())
    torch.testing.assert_close(found, expected)
    assert (found[1][masked] == 0).all()
