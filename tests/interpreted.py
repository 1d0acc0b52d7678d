"""The kernels of our own against their formulas, on the CPU: run with TRITON_INTERPRET=1.

Triton reads the variable when it is imported, so that this is a process of its own.
"""

import itertools

import torch
from jaxtyping import install_import_hook

with install_import_hook("tabkit", "beartype.beartype"):  # as a reader may do: Triton reads sources
    from tabkit import fast, simplex
    from tabkit.fast import kernels, padded

COLUMNS = {"unlike": (3, 1, 4, 2, 4), "tiles": (2, 150, 3), "one": (1, 1)}
ORDERS = {
    "by row": torch.Tensor.contiguous,
    "by feature": lambda x: x.T.contiguous().T,
    "part of a wider": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
}
TAUS = (1.0, 0.3, torch.tensor(2.0))  # the last as in a captured step


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def close(found, expected, dtype):
    eps = 8 * torch.finfo(dtype).eps
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=eps, atol=eps)


def compare(C, rows, order, dtype, tau):
    """All three, at once and alone."""
    values = order(3 * normal(rows, sum(C)).to(dtype))
    shares, vertices = kernels.relaxed(values, C, tau)
    close(shares, simplex.softmax(values.float(), C, tau), dtype)
    assert torch.equal(vertices, simplex.argmax(values, C))
    soft, none = kernels.relaxed(values, C, tau, hard=False)
    assert none is None
    assert torch.equal(soft, shares)
    ties = order(values.round())
    none, hard = kernels.relaxed(ties, C, tau, soft=False)
    assert none is None
    assert torch.equal(hard, simplex.argmax(ties, C))
    v = order(normal(rows, sum(C), seed=1).to(dtype))
    product = simplex.jacobian_product(shares.float(), v.float(), C)
    close(kernels.product(shares, v, C), product, dtype)


def trained(name):
    """The functions that training calls, with gradients, by kernels and by formula."""
    x, into, found = normal(40, 14).requires_grad_(), normal(40, 14, seed=2), []
    with fast.use("plain"):
        for room in (padded, fast):
            value = getattr(room, name)(x, COLUMNS["unlike"], 0.7)
            found.append((value, torch.autograd.grad(value, x, into)[0]))
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


def main():
    for C, order, tau in itertools.product(COLUMNS.values(), ORDERS.values(), TAUS):
        compare(C, 40, order, torch.float32, tau)
    for rows, dtype in itertools.product((1, 9), kernels.TYPES):
        compare(COLUMNS["unlike"], rows, ORDERS["by row"], dtype, 1.0)
    masked = torch.tensor([[0.0, -torch.inf, 1.0]])
    close(kernels.relaxed(masked, (3,))[0], masked.softmax(1), torch.float32)
    nan = torch.tensor([[0.0, torch.nan, 1.0]])
    assert kernels.relaxed(nan, (3,))[0].isnan().all()  # so that a training stops
    expanded = torch.full((1, 1), 2.0).expand(4, 3)
    close(kernels.product(expanded / 6, expanded, (3,)), torch.zeros(4, 3), torch.float32)
    for tau in (0.0, -1.0, 1e31, float("nan")):
        try:
            kernels.relaxed(masked, (3,), tau)
        except ValueError as error:
            assert str(tau) in str(error)
        else:
            raise AssertionError(tau)
    padded.has_triton = lambda device: True
    for name in ("softmax", "hard_softmax"):
        trained(name)
    assert padded.kernels(masked.double(), (3,)) is None
    assert padded.kernels(masked, (kernels.MOST + 1,)) is None
    print("equal")


if __name__ == "__main__":
    main()
