"""Very many categories: the whole soft embedding against one from a few categories.

    python benchmarks/many_categories.py           # prints, and writes runs/many_categories.csv
    python benchmarks/many_categories.py --device cuda

Times are forward and backward, a row of the batch, and ratios within the rounds of a race
(`ruler.race`) to the dense product of the same beginning: logits, or D hidden features of net0 with
its last layer, which trains. The table is frozen, as net1's is. *saved* is what the graph keeps
from forward to backward, *peak* the most that lives at once, the layer's gradient apart; both a
row, in bytes. Then bias and variance of the logits' gradient against that of the whole product
(which is not that of the expected loss of hard rows), in runs/many_categories_ruler.csv.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pandas as pd

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler tells of every start and stop

import torch
from speed import processor
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.profiler import ProfilerActivity, profile

import tabkit
from tabkit import ruler
from tabkit.ruler.measures import against

CARDINALITIES, WIDTHS = (1_000, 10_000, 100_000, 1_000_000), (32, 256)
LARGEST = 2**26  # numbers of a table: 256 MiB
LOGITS = 2**24  # numbers of a batch, of 16 to 512 rows: 64 MiB
FEW = {"sampled 16+16": (16, 16), "sampled 64+64": (64, 64), "truncated 32": (32, 0)}
Embed = Callable[[], Tensor]  # (B, D)
Loss = Callable[[Tensor], Tensor]  # of embeddings (B, D), a row (B,)


def layers(W: Tensor) -> dict[str, tabkit.SampledSoftEmbedding]:
    """What takes few categories of a frozen table."""
    table = nn.Embedding.from_pretrained(W)
    return {
        name: tabkit.SampledSoftEmbedding.from_embedding(table, k=k, m=m)
        for name, (k, m) in FEW.items()
    }


def attention(hidden: Tensor, A: Tensor, W: Tensor) -> Tensor:
    """``softmax(hidden @ A.T) @ W``, an attention of each row to all categories.

    Exact; PyTorch's fused kernels keep no logits.
    """
    query, key, value = (t[None, None] for t in (hidden, A, W))
    return scaled_dot_product_attention(query, key, value, scale=1.0)[0, 0]


def races(K: int, D: int, device: str) -> Iterator[tuple[list[Tensor], Tensor, dict[str, Embed]]]:
    """The leaves where paths begin, the table, and the paths; the first is the dense one."""
    B, generator = min(max(LOGITS // K, 16), 512), torch.Generator(device).manual_seed(0)
    normal = partial(torch.randn, generator=generator, device=device)
    W, logits = D**-0.5 * normal(K, D), (2 * normal(B, K)).requires_grad_()
    few = {n: lambda layer=layer: layer(logits, generator) for n, layer in layers(W).items()}
    yield [logits], W, {"dense": lambda: logits.softmax(dim=1) @ W} | few
    hidden, A = normal(B, D).requires_grad_(), (2 * D**-0.5 * normal(K, D)).requires_grad_()
    dense = {"linear, dense": lambda: (hidden @ A.T).softmax(dim=1) @ W}
    yield [hidden, A], W, dense | {"attention": lambda: attention(hidden, A, W)}


def peak_bytes(work: Callable[[], object], device: str) -> int:
    """The most memory that is held at once, beyond what was there before."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        work()
    events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda e: e.start_ns())]
    return pd.Series(sizes).cumsum().max()


def costs(K: int, D: int, rounds: int, device: str) -> pd.DataFrame:
    """Time and memory a row of every path, and the ratios to the first of its race."""
    tables = []
    for leaves, W, paths in races(K, D, device):
        works = {name: ruler.there_and_back(path, *leaves) for name, path in paths.items()}
        table, B = ruler.race(works, rounds, device=device), len(leaves[0])
        table.insert(0, "microseconds", 1e3 * table.pop("ms") / B)
        for layer in leaves[1:]:
            layer.requires_grad_(False)  # the same for any number of rows
        works = {name: ruler.there_and_back(path, leaves[0]) for name, path in paths.items()}
        table["K"], table["D"], table["rows"] = K, D, B
        table["saved"] = [ruler.kept_bytes(p, but=[*leaves, W]) / B for p in paths.values()]
        table["peak"] = [peak_bytes(work, device) / B for work in works.values()]
        tables.append(table)
    return pd.concat(tables).rename_axis("path").reset_index()


def losses(D: int, generator: torch.Generator) -> dict[str, Loss]:
    """One that is linear in the embedding, and net1's: a distance behind a ReLU."""
    slope, target = (torch.randn(n, generator=generator) for n in (D, 8))
    first, last = (torch.randn(s, generator=generator) * s[0] ** -0.5 for s in ((D, 64), (64, 8)))

    def distance(embedded: Tensor) -> Tensor:
        return ((embedded @ first).relu() @ last - target).square().sum(dim=1)

    return {"linear": lambda e: e @ slope, "net1": distance}


def gradient(embed: Callable[[Tensor], Tensor], logits: Tensor, loss: Loss) -> Tensor:
    """Of each row's loss behind the embedding, for its logits."""
    leaf = logits.clone().requires_grad_()
    return torch.autograd.grad(loss(embed(leaf)).sum(), leaf)[0]


def scatter(K: int, D: int, draws: int, rows: int = 2) -> pd.DataFrame:
    """Bias, variance and cosine of the logits' gradient, over many draws.

    At two doubts of net0: logits of standard deviation 1, and 4, where a few have most of the mass.
    """
    generator, found = torch.Generator().manual_seed(0), []
    W, logits = torch.randn(K, D, generator=generator), torch.randn(rows, K, generator=generator)
    for (name, loss), scale in product(losses(D, generator).items(), (1.0, 4.0)):
        true = gradient(lambda x: x.softmax(dim=1) @ W, scale * logits, loss)
        many = scale * logits.repeat(draws, 1)
        for path, layer in layers(W).items():
            each = gradient(partial(layer, generator=generator), many, loss)
            measures = against(each.unflatten(0, (draws, rows)), ruler.Reference(true[None]))
            found.append({"loss": name, "scale": scale, "path": path} | measures)
    return pd.DataFrame(found)


def conditions(device: str) -> dict[str, str | int | float]:
    """The machine and the versions, and how busy the machine: above its cores, times mislead."""
    return {
        "machine": torch.cuda.get_device_name() if device.startswith("cuda") else processor(),
        "python": platform.python_version(),
        "tabkit": tabkit.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count() or 0,
        "load": round(os.getloadavg()[0], 2),
    }


def keep(table: pd.DataFrame, out: Path, settings: dict[str, str | int | float]) -> None:
    """Prints the table and writes it, with the conditions beside it."""
    print(table.to_string(index=False, float_format="%.3g"), flush=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, index=False, float_format="%.5g")
    out.with_suffix(".json").write_text(json.dumps(settings, indent=1) + "\n")


def main() -> None:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cardinalities", type=int, nargs="+", default=CARDINALITIES)
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="of the embedding")
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each race")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/many_categories.csv"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = conditions(asked.device)
    print(settings)
    sizes = [(K, D) for D, K in product(asked.widths, asked.cardinalities) if K * D <= LARGEST]
    tables = [costs(K, D, asked.rounds, asked.device) for K, D in sizes]
    keep(pd.concat(tables), asked.out, settings)
    biases = scatter(1_000, 32, asked.draws)
    keep(biases, asked.out.with_stem(asked.out.stem + "_ruler"), settings)


if __name__ == "__main__":
    main()
