"""Very many categories: the whole soft embedding against one from a few categories.

    python benchmarks/many_categories.py           # prints, and writes runs/many_categories.csv
    python benchmarks/many_categories.py --device cuda

Times are forward and backward, a row of the batch, and ratios within the rounds of a race
(`ruler.race`); the table is frozen, as net1's is. Paths that begin at the logits have a gradient
for them; paths that begin at net0's hidden features run its last layer too, and have a gradient for
both. *saved* is what the graph keeps between forward and backward, *peak* the most that lives at
once, inputs and parameters apart; both a row. Then bias and variance by the ruler, of the gradients
for the logits and for the hidden features against those of the whole product (which are not those
of the expected loss of hard rows), in runs/many_categories_ruler.csv.
"""

import argparse
import json
import math
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import pandas as pd

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler tells of every start and stop

import torch
from speed import processor
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

import tabkit
from tabkit import ruler
from tabkit.embedding.sampled import SampledSoftEmbedding
from tabkit.estimators import Estimator
from tabkit.ruler.reference import Reference, draw
from tabkit.train.checkpoint import write_atomically

CARDINALITIES = (1_000, 10_000, 100_000, 1_000_000)
CHOICES = ((16, 16), (64, 64))
WIDTH, HIDDEN = 32, 64  # D and H
NUMBERS = 2**24  # logits of a batch: 64 MiB
Call = Callable[[], Tensor]
Loss = Callable[[Tensor], Tensor]  # of embeddings (B, D), a row (B,)


@dataclass(frozen=True, eq=False)
class Problem:
    """One column of K categories, and the inputs of B rows."""

    logits: Tensor  # (B, K)
    hidden: Tensor  # (B, H)
    linear: nn.Linear  # H -> K
    table: nn.Embedding
    values: Tensor  # the table as wide as H: attention takes one width
    generator: torch.Generator

    @classmethod
    def of(cls, K: int, device: str) -> "Problem":
        """Random, with as many rows as fit into `NUMBERS` logits, but 16 to 512."""
        B = min(max(NUMBERS // K, 16), 512)
        generator = torch.Generator(device).manual_seed(0)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        linear = nn.utils.skip_init(nn.Linear, HIDDEN, K, bias=False, device=device)
        linear.weight.data.copy_(normal(K, HIDDEN)).mul_(2 * HIDDEN**-0.5)
        table = nn.Embedding.from_pretrained(normal(K, WIDTH) * WIDTH**-0.5)
        logits, hidden = (2 * normal(B, K)).requires_grad_(), normal(B, HIDDEN).requires_grad_()
        values = functional.pad(table.weight, (0, HIDDEN - WIDTH))
        return cls(logits, hidden, linear, table, values, generator)

    @property
    def leaves(self) -> list[Tensor]:
        """What may get a gradient."""
        return [self.logits, self.hidden, self.linear.weight]

    @property
    def given(self) -> list[Tensor]:
        """What is there before any step: the parameters, and what net0 hands over but logits."""
        return [self.table.weight, self.linear.weight, self.values, self.hidden]

    def from_logits(self) -> dict[str, Call]:
        """Paths that begin at the logits; the first is the one to compare with."""
        calls = {"dense": lambda: self.logits.softmax(dim=1) @ self.table.weight}
        for k, m, proposal in settings():
            layer = self.sampled(k, m, proposal)
            calls[label(k, m, proposal)] = lambda layer=layer: layer(self.logits, self.generator)
        return calls

    def from_hidden(self) -> dict[str, Call]:
        """Paths that begin at net0's hidden features; the first is the one to compare with."""
        calls = {
            "linear, dense": lambda: self.linear(self.hidden).softmax(dim=1) @ self.table.weight,
            "attention": lambda: attention(self.hidden, self.linear.weight, self.values)[:, :WIDTH],
        }
        for k, m in CHOICES:
            layer = self.sampled(k, m, "probability")
            calls[f"streamed {k}+{m}"] = lambda layer=layer: layer.streamed(
                self.hidden, self.linear, self.generator
            )
        return calls

    def sampled(self, k: int, m: int, proposal: str) -> SampledSoftEmbedding:
        """The layer with so many categories."""
        return SampledSoftEmbedding.from_embedding(self.table, k=k, m=m, proposal=proposal)


def settings() -> Iterator[tuple[int, int, str]]:
    """k, m and proposal of what is measured."""
    for k, m in CHOICES:
        for proposal in ("probability", "uniform"):
            yield k, m, proposal
    yield 32, 0, "probability"


def label(k: int, m: int, proposal: str) -> str:
    """As the tables call it."""
    return f"sampled {k}+{m} {proposal}" if m else f"truncated {k}"


def attention(hidden: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """``softmax(hidden @ keys.T) @ values``, which is attention of each row to all categories.

    Exact; the fused kernels keep no logits.
    """
    query, key, value = (t[None, None] for t in (hidden, keys, values))
    return functional.scaled_dot_product_attention(query, key, value, scale=1.0)[0, 0]


def step(problem: Problem, call: Call) -> None:
    """Forward and backward."""
    for leaf in problem.leaves:
        leaf.grad = None
    call().sum().backward()


def peak_bytes(problem: Problem, call: Call) -> int:
    """The most memory that a step holds at once, beyond what was there before.

    With the layer frozen: the gradient of its weight, K times H, is the same for any rows.
    """
    problem.linear.requires_grad_(False)
    for leaf in problem.leaves:
        leaf.grad = None
    if problem.logits.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call().sum().backward()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        call().sum().backward()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def costs(K: int, rounds: int, device: str) -> pd.DataFrame:
    """Time and memory a row of every path, and the ratios to the first of its kind."""
    problem = Problem.of(K, device)
    B, tables = len(problem.logits), []
    for begins, calls in (("logits", problem.from_logits()), ("hidden", problem.from_hidden())):
        works = {name: partial(step, problem, call) for name, call in calls.items()}
        table = ruler.race(works, rounds, device=device)
        table.insert(0, "microseconds", 1e3 * table.pop("ms") / B)
        table = table.assign(begins=begins, K=K, rows=B)
        table["saved"] = [ruler.kept_bytes(call, but=problem.given) / B for call in calls.values()]
        table["peak"] = [peak_bytes(problem, call) / B for call in calls.values()]
        problem.linear.requires_grad_(True)
        tables.append(table)
    return pd.concat(tables).rename_axis("path").reset_index()


def crossing(K: pd.Series, ratio: pd.Series) -> float:
    """Where the ratio last falls through 1, both scales logarithmic; NaN if it does not."""
    x, y = [math.log(v) for v in K], [math.log(v) for v in ratio]
    found = math.nan
    for i in range(1, len(x)):
        if y[i - 1] > 0 >= y[i]:
            found = x[i - 1] + (x[i] - x[i - 1]) * y[i - 1] / (y[i - 1] - y[i])
    return math.exp(found)


def crossings(table: pd.DataFrame) -> pd.Series:
    """K from which on each path is faster than the whole product."""
    groups = table.groupby(["threads", "begins", "path"], sort=False)
    return groups.apply(lambda g: crossing(g["K"], g["ratio"]), include_groups=False)


class Behind(Estimator):
    """The relaxed loss behind an embedding of one column, for the ruler.

    It takes what net0 hands over, logits or hidden features, and an objective of embeddings.
    """

    gradient: ClassVar[str] = "of the loss behind the embedding"
    source: ClassVar[str] = "tabkit.embedding.SampledSoftEmbedding"

    def __init__(self, embed: Callable[[Tensor, torch.Generator | None], Tensor]) -> None:
        self.embed = embed

    def __call__(
        self,
        logits: Tensor,
        objective: Loss,
        *,
        cardinalities: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Tensor:
        return objective(self.embed(logits, generator)).mean()


def losses(D: int, generator: torch.Generator) -> dict[str, Loss]:
    """One that is linear in the embedding, and net1's: a distance behind a ReLU."""
    slope, target = (torch.randn(n, generator=generator) for n in (D, 8))
    first, last = (torch.randn(s, generator=generator) * s[0] ** -0.5 for s in ((D, 64), (64, 8)))

    def distance(embedded: Tensor) -> Tensor:
        return ((embedded @ first).relu() @ last - target).square().sum(dim=1)

    return {"linear": lambda e: e @ slope, "net1": distance}


def measured(
    paths: dict[str, Behind], leaf: Tensor, objective: Loss, draws: int
) -> list[dict[str, float | str]]:
    """The ruler's measures of every path's gradient for `leaf`, against those of the first.

    `loss_bias` is the mean loss over that of the whole product, less 1.
    """
    dense, *others = paths
    generator, widths = torch.Generator().manual_seed(0), [leaf.shape[1]]
    exact = paths[dense](leaf, objective, cardinalities=widths).item()
    reference = Reference(draw(paths[dense], leaf, objective, widths, None)[None])
    rows = []
    for name in others:
        found = ruler.estimate(
            paths[name], leaf, objective, widths, reference=reference, draws=draws
        )
        calls = (
            paths[name](leaf, objective, cardinalities=widths, generator=generator)
            for _ in range(draws)
        )
        relaxed = torch.stack(list(calls)) / exact
        bias = {"loss_bias": relaxed.mean().item() - 1}
        bias["loss_bias_se"] = relaxed.std().item() / draws**0.5
        rows.append({"path": name, **found.measures, **bias})
    return rows


def ruled_paths(table: nn.Embedding, linear: nn.Linear) -> Iterator[tuple[str, dict[str, Behind]]]:
    """What a gradient is for, and the paths to it; the first is the whole product."""
    layers = {
        label(*setting): SampledSoftEmbedding.from_embedding(
            table, k=setting[0], m=setting[1], proposal=setting[2]
        )
        for setting in settings()
    }
    yield (
        "logits",
        {
            "dense": Behind(lambda x, _: x.softmax(dim=1) @ table.weight),
            **{name: Behind(layer) for name, layer in layers.items()},
        },
    )
    drawn = {n: layer for n, layer in layers.items() if n.endswith("probability")}
    yield (
        "hidden",
        {
            "dense": Behind(lambda x, _: linear(x).softmax(dim=1) @ table.weight),
            **{n: Behind(lambda x, g, f=f: f(linear(x), g)) for n, f in drawn.items()},
            **{
                n.replace("sampled", "streamed"): Behind(lambda x, g, f=f: f.streamed(x, linear, g))
                for n, f in drawn.items()
            },
        },
    )


def ruler(K: int, draws: int, rows: int = 2) -> pd.DataFrame:
    """Bias, variance and cosine of the gradients for logits and for hidden features.

    At two doubts of net0: logits of standard deviation 1, and 4, where a few have most of the mass.
    """
    generator, found = torch.Generator().manual_seed(0), []
    table = nn.Embedding.from_pretrained(torch.randn(K, WIDTH, generator=generator))
    hidden = torch.randn(rows, HIDDEN, generator=generator)
    weight = torch.randn(K, HIDDEN, generator=generator) * HIDDEN**-0.5
    for name, objective in losses(WIDTH, generator).items():
        for scale in (1.0, 4.0):
            linear = nn.utils.skip_init(nn.Linear, HIDDEN, K, bias=False)
            linear.weight = nn.Parameter(scale * weight, requires_grad=False)
            for gradient_for, paths in ruled_paths(table, linear):
                leaf = hidden if gradient_for == "hidden" else linear(hidden)
                same = {"loss": name, "scale": scale, "for": gradient_for}
                found += [same | row for row in measured(paths, leaf, objective, draws)]
    return pd.DataFrame(found)


def conditions(device: str) -> dict[str, str | int | float]:
    """The machine and the versions, and how busy the machine: above its cores, times mislead."""
    cuda = device.startswith("cuda")
    return {
        "machine": torch.cuda.get_device_name() if cuda else processor(),
        "python": platform.python_version(),
        "tabkit": tabkit.__version__,
        "torch": torch.__version__,
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
        "D": WIDTH,
        "H": HIDDEN,
    }


def keep(table: pd.DataFrame, out: Path, settings: dict[str, str | int | float]) -> None:
    """Writes the table, and the conditions beside it."""
    write_atomically(out, lambda path: table.to_csv(path, index=False, float_format="%.5g"))
    text = json.dumps(settings, indent=1) + "\n"
    write_atomically(out.with_suffix(".json"), lambda path: path.write_text(text))


def show(table: pd.DataFrame) -> None:
    """Prints the times, the memory and the crossings."""
    times = table.drop(columns=["ratio_q1", "ratio_q3", "rounds"])
    print(times.to_string(index=False, float_format="%.3g"))
    print("\nfaster than the whole product from K =")
    print(crossings(table).to_string(float_format="%.0f"))


def main() -> None:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cardinalities", type=int, nargs="+", default=CARDINALITIES)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each race")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="CPU threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/many_categories.csv"))
    arguments = parser.parse_args()
    settings = conditions(arguments.device)
    print(settings)
    tables = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        tables += [
            costs(K, arguments.rounds, arguments.device).assign(threads=threads)
            for K in arguments.cardinalities
        ]
    table = pd.concat(tables)
    keep(table, arguments.out, settings)
    show(table)
    biases = ruler(1_000, arguments.draws)
    keep(biases, arguments.out.with_stem(arguments.out.stem + "_ruler"), settings)
    shown = [
        "loss",
        "scale",
        "for",
        "path",
        "squared_bias",
        "squared_bias_se",
        "variance",
        "variance_se",
    ]
    shown += ["cosine", "cosine_se", "mean_cosine", "loss_bias", "loss_bias_se"]
    print(biases[shown].to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main()
