"""The same seed again, and on another number of threads: what stays the same, and how nearly."""

from typing import NamedTuple

import torch

import tabkit
from tabkit import store

STEPS, ENCODER_STEPS, BATCH = 300, 300, 512
CLOSE = 0.02  # of the decoded loss, between numbers of threads


class Trained(NamedTuple):
    """What one training came to."""

    weights: torch.Tensor
    codes: torch.Tensor
    loss: float


def trained(data: tabkit.Dataset, seed: int, threads: int) -> Trained:
    """net1, net0 through a softmax behind it, and its test rows by argmax, on so many threads."""
    torch.set_num_threads(threads)
    net1 = tabkit.RowEncoder(data.schema, seed=seed)
    list(tabkit.fit_encoder(net1, data, steps=ENCODER_STEPS, batch=BATCH, seed=seed))
    net1 = tabkit.freeze(net1)
    net0 = tabkit.RowPredictor(data.signal.shape[1], net1, seed=seed)
    estimator = tabkit.estimators.make("gumbel_softmax")
    list(tabkit.fit_predictor(net0, net1, data, estimator, steps=STEPS, batch=BATCH, seed=seed))
    rows = tabkit.decode(net0.eval(), data.signal[data.test], net1, decoder="argmax")
    true = net1(data.rows.codes[data.test], data.rows.continuous[data.test])
    loss = tabkit.SquaredDistance(net1, rows.continuous, true)(rows.codes).mean().item()
    weights = torch.cat([w.detach().flatten() for w in net0.parameters()])
    return Trained(weights, rows.codes, loss)


def run(seed: int = 0, minutes: float = 3) -> dict[str, int | float | str]:
    """On one and on two threads, each of them twice."""
    data = tabkit.flights(20_000, held_out=2_000)
    one, two = ([trained(data, seed, threads) for _ in range(2)] for threads in (1, 2))
    torch.set_num_threads(1)
    failures = 0
    for again in (one, two):
        (a, _, _), (b, _, _) = again
        if store.digest(a, again[0].codes) != store.digest(b, again[1].codes):
            failures += 1
            print("the same seed on the same number of threads gave another net0")
    apart = abs(one[0].loss - two[0].loss) / one[0].loss
    if apart > CLOSE:
        failures += 1
        print(f"decoded losses {one[0].loss:.4f} and {two[0].loss:.4f} are further apart")
    return {
        "failures": failures,
        "steps": ENCODER_STEPS + STEPS,
        "largest difference of a weight, 1 and 2 threads": (one[0].weights - two[0].weights)
        .abs()
        .max()
        .item(),
        "share of decoded codes that differ": (one[0].codes != two[0].codes).float().mean().item(),
        "decoded losses differ by": apart,
    }


if __name__ == "__main__":
    print(run())
