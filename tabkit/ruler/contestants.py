"""Contestants for `race`: net1's input by each layout, and training steps of net0."""

from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tabkit import estimators, fast
from tabkit.data import Dataset
from tabkit.nets import (
    RowEncoder,
    RowPredictor,
    SquaredDistance,
    device_of,
    embedded,
    encode_rows,
    folded,
    freeze,
)
from tabkit.nets.mlp import mlp
from tabkit.ruler.layouts import LAYOUTS
from tabkit.ruler.timing import Work

Signal, Target = Float[Tensor, "B S"], Float[Tensor, "B Z"]
NetAndLoss = tuple[nn.Module, Callable[[], Tensor]]
STEPS = ("softmax", "straight_through_argmax", "gumbel_softmax", "straight_through_gumbel")


def there_and_back(forward: Callable[[], Tensor], *leaves: Tensor) -> Work:
    """Forward, and backward to the leaves.

    Examples
    --------
    >>> x = torch.ones(3, requires_grad=True)
    >>> there_and_back(lambda: 2 * x, x)()
    (tensor([2., 2., 2.]),)
    """

    def work() -> tuple[Tensor, ...]:
        output = forward()
        return torch.autograd.grad(output, leaves, torch.ones_like(output))

    return work


def training_step(net: nn.Module, loss: Callable[[], Tensor]) -> Work:
    """One step of Adam; its work returns the loss before the step."""
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        optimizer.step()
        return value.detach()

    return step


def embedding_works(
    net1: RowEncoder, data: Dataset, simplex: Float[Tensor, "B F"]
) -> dict[str, Work]:
    """The categorical columns' embeddings, forward and backward.

    The first, ``"index"``, looks up the codes of as many rows, a lookup a column, and goes back to
    the tables, as training by codes does. The others are the layouts that take a simplex, with
    frozen tables, and go back to the simplex.
    """
    tables = [W.detach() for W in net1.embedding.weights]
    trained = [W.clone().requires_grad_() for W in tables]
    codes, leaf = data.rows.codes[: len(simplex)], simplex.detach().clone().requires_grad_()

    def looked_up() -> Tensor:
        return torch.cat([W[codes[:, c]] for c, W in enumerate(trained)], dim=1)

    works = {"index": there_and_back(looked_up, *trained)}
    for name, layout in LAYOUTS.items():
        works[name] = there_and_back(partial(layout.mix, leaf, layout.prepare(tables)), leaf)
    return works


def first_layer_works(
    net1: RowEncoder, data: Dataset, simplex: Float[Tensor, "B F"]
) -> dict[str, Work]:
    """From the simplex through net1's first linear layer and back: as net1 does it, and folded."""
    continuous = data.rows.continuous[: len(simplex)]
    leaf = simplex.detach().clone().requires_grad_()
    first = folded(net1).first

    def as_it_is() -> Tensor:
        return net1.first_layer(torch.cat([net1.embedding(leaf), continuous], dim=1))

    return {
        "embed, then layer": there_and_back(as_it_is, leaf),
        "FoldedLinear": there_and_back(lambda: first(leaf, continuous), leaf),
    }


def step_works(
    net1: RowEncoder,
    data: Dataset,
    *,
    rows: int = 1_000,
    names: Sequence[str] = STEPS,
    width: int = 256,
    compiled: bool = False,
) -> dict[str, Work]:
    """Training steps of net0 through a frozen net1: forward, backward and Adam.

    The first, ``"plain MLP"``, has the same matrices and hands net0's last layer to net1's first
    as it is. Then the estimators of the given names, as `fit_predictor` trains by them (but for its
    loop, which picks rows and keeps records), the same by plain formulas, and the loop over columns
    that one writes first, for softmax and for Gumbel-softmax. With `compiled`, as well the MLP and
    the plain formulas after `torch.compile`, which takes some minutes.
    """
    some = data.train[:rows]
    given = net1, data.signal[some].to(device_of(net1)), encode_rows(net1, data.rows[some]), width
    plainly = fast.use("plain")  # the same by the formulas alone, as `tabkit.simplex` has them

    def by(name: str) -> Work:
        noise = torch.Generator(given[1].device).manual_seed(0)
        return training_step(*estimator_loss(*given, name, noise))

    works = {
        "plain MLP": training_step(*plain_loss(*given)),
        **{name: by(name) for name in names},
        **{f"plain: {name}": plainly(by(name)) for name in names},
        "loop: softmax": loop_step(*given, noisy=False),
        "loop: gumbel_softmax": loop_step(*given, noisy=True),
    }
    if compiled:
        every = {"plain MLP": plain_loss(*given)} | {n: estimator_loss(*given, n) for n in names}
        for name, (net0, loss) in every.items():
            works[f"compiled: {name}"] = training_step(net0, whole(loss))
    return works


def plain_loss(net1: RowEncoder, signal: Signal, target: Target, width: int) -> NetAndLoss:
    """The MLP with the same matrices."""
    between = sum(net1.cardinalities) + net1.continuous_features
    sizes = {"width": width, "depth": 2, "generator": torch.Generator().manual_seed(0)}
    net0, behind = mlp(signal.shape[1], between, **sizes), mlp(between, target.shape[1], **sizes)
    net0, behind = net0.to(signal.device), freeze(behind.to(signal.device))
    return net0, lambda: _loss(behind(net0(signal)), target)


def estimator_loss(
    net1: RowEncoder,
    signal: Signal,
    target: Target,
    width: int,
    name: str,
    noise: torch.Generator | None = None,
) -> NetAndLoss:
    """net0 through an estimator and the folded net1; noise is torch's own if none is given."""
    estimator, behind = estimators.make(name), folded(net1)
    net0 = RowPredictor(signal.shape[1], net1, width=width, head=estimator.head)
    options = {"cardinalities": net1.cardinalities, "generator": noise}

    def loss() -> Tensor:
        categorical, continuous = net0(signal)
        return estimator(categorical, SquaredDistance(behind, continuous, target), **options)

    return net0, loss


def whole(loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The loss, compiled as a whole; it raises where it would fall back.

    torch keeps what it compiled by code object, and only so many of each: every loss gets its own.
    """
    own = FunctionType(loss.__code__.replace(), loss.__globals__, closure=loss.__closure__)
    return torch.compile(own, fullgraph=True)


def loop_step(net1: RowEncoder, signal: Signal, target: Target, width: int, *, noisy: bool) -> Work:
    """The loop over columns: relax, multiply with the table, concatenate."""
    net0 = RowPredictor(signal.shape[1], net1, width=width)
    noise = torch.Generator(signal.device).manual_seed(0)

    def relaxed(logits: Tensor) -> Tensor:
        if noisy:
            logits = logits - torch.empty_like(logits).exponential_(generator=noise).log()
        return logits.softmax(dim=1)

    def loss() -> Tensor:
        with fast.use("plain"):
            logits, continuous = net0(signal)
        pairs = zip(logits.split(net1.cardinalities, dim=1), net1.embedding.weights, strict=True)
        mixed = [relaxed(block) @ W for block, W in pairs]
        return _loss(embedded(net1, torch.cat(mixed, dim=1), continuous), target)

    return training_step(net0, loss)


def _loss(output: Target, target: Target) -> Float[Tensor, ""]:
    return (output - target).square().sum(dim=1).mean()
