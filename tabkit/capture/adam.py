"""`update`: Adam's step, by rates that lie in a tensor.

**Formula:** ``torch.optim.Adam(...).step()``, whose state it takes and leaves.
**Faster:** a captured graph repeats the numbers that Python had when it was captured, and a
one-cycle schedule moves both the rate and the first beta; of torch's own, only the rate may be a
tensor without the device being read.
**Pays:** where a step is captured.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam

RATES = 4  # numbers that `rates` returns


def prepared(optimizer: Adam, parameters: Sequence[nn.Parameter]) -> None:
    """Makes the state that torch's Adam would make in its first step; it counts on the CPU."""
    for p in parameters:
        if not optimizer.state[p]:
            optimizer.state[p] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
        optimizer.state[p]["step"] = optimizer.state[p]["step"].cpu()


def rates(optimizer: Adam, parameters: Sequence[nn.Parameter]) -> list[float]:
    """What the next step multiplies by, and counts it: the first beta, the rest to 1, and two.

    With m and v the means of gradient and square, c and d their corrections, and r the rate, a step
    moves by ``-r (m / c) / (sqrt(v) / sqrt(d) + eps)``, which is ``m / (sqrt(v) a + b)`` with the
    last two.
    """
    (group,) = optimizer.param_groups
    beta1, beta2 = group["betas"]
    torch._foreach_add_([optimizer.state[p]["step"] for p in parameters], 1)
    count = optimizer.state[parameters[0]]["step"].item()
    size = -group["lr"] / (1 - beta1**count)
    return [beta1, 1 - beta1, 1 / (size * (1 - beta2**count) ** 0.5), group["eps"] / size]


@torch.no_grad()
def update(optimizer: Adam, parameters: Sequence[nn.Parameter], given: Float[Tensor, " 4"]) -> None:
    """One step of all parameters along their gradients, by what `rates` returned."""
    beta, rest, a, b = given.to(parameters[0].dtype).unbind()
    beta2 = optimizer.param_groups[0]["betas"][1]
    gradients = [p.grad for p in parameters]
    means, squares = (
        [optimizer.state[p][k] for p in parameters] for k in ("exp_avg", "exp_avg_sq")
    )
    torch._foreach_mul_(means, beta)
    torch._foreach_add_(means, torch._foreach_mul(gradients, rest))
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
    below = torch._foreach_sqrt(squares)
    torch._foreach_mul_(below, a)
    torch._foreach_add_(below, b, alpha=1)  # without it b would be read, as a number
    torch._foreach_addcdiv_(list(parameters), means, below)
