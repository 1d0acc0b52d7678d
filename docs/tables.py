"""Writes the generated tables of README and docs: ``python docs/tables.py``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. `TABLES` has the function
that makes it: from the kept results in benchmarks/results, or from the registry of estimators.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from tabkit import compare, estimators, fast, simplex
from tabkit.compare import comparison

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PLACE = re.compile(r"(?<=<!-- table: )(\w+) -->\n.*?(?=<!-- end -->)", re.DOTALL)
DECODERS = {"argmax": "argmax", "table": "table", "first_layer": "the first layer"}
DECODERS |= {"search": "search", "restarts": "restarts"}
FOLDING = ("plain", "deep")  # kinds of net1 behind which restarts are affordable
COLUMNS = (3, 4, 5)  # categories of the columns for which evaluations are counted
Row = Iterable[object]


def table(heads: Row, rows: Iterable[Row]) -> str:
    """A Markdown table; numbers have two places."""
    heads = list(heads)
    return "\n".join(line(row) for row in [heads, ["---"] * len(heads), *rows])


def line(cells: Row) -> str:
    """One row of it."""
    texts = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells)
    return f"| {' | '.join(texts)} |"


def kept(name: str, **wanted: object) -> pd.DataFrame:
    """The rows of a kept table with these values."""
    found = pd.read_csv(RESULTS / f"{name}.csv")
    return found[(found[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def code(text: str) -> str:
    """As code."""
    return f"`{text}`"


def with_links(source: str) -> str:
    """An estimator's source, whose arXiv number leads to the paper."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)


def estimators_table() -> str:
    """Every estimator of the registry."""

    def rows() -> Iterator[Row]:
        for name in estimators.names():
            made = estimators.make(name)
            knobs = ", ".join(f"{knob} {value:g}" for knob, value in made.knobs.items())
            named = f"{code(name)}<br>{knobs}" if knobs else code(name)
            gradient, source = made.gradient.removeprefix(f"{made.bias}: "), with_links(made.source)
            yield named, made.bias, gradient, made.evaluations(COLUMNS), source

    return table(["estimator, its knobs", "bias", "gradient", "evaluations", "source"], rows())


def formula() -> str:
    """Straight-through Gumbel, as the package has it."""
    shown = (
        *(estimators.gumbel.straight_through_gumbel, fast._hard_softmax),
        simplex.straight_through,
    )
    return "\n".join(["```py", "\n\n\n".join(map(bare, shown)), "```"])


def bare(function: Callable) -> str:
    """A function without decorator, annotations and docstring."""
    (found,) = ast.parse(inspect.getsource(function)).body
    found.decorator_list, found.returns, found.body = [], None, found.body[1:]
    found.name = found.name.lstrip("_")
    for argument in (*found.args.args, *found.args.kwonlyargs):
        argument.annotation = None
    return ast.unparse(found)


def main_job_table() -> str:
    """The main job on the flights."""
    results = kept("flights_main_job").set_index("estimator")
    by = [f"decode_{name}" for name in DECODERS]
    results["best"] = results.filter(like="share_").max(axis=1).map("{:.1%}".format)
    columns = ["train_relaxed", "test_decoded", "test_decoded_se", *by, "best"]
    heads = ["net0 trained through", "relaxed, training flights", "decoded, test", "±"]
    heads += [f"by {words}" for words in DECODERS.values()]
    rows = ((code(name), *row) for name, *row in results[columns].itertuples())
    return table([*heads, "best: of the way"], rows)


SHOWN = (
    *("gumbel_softmax:tau=cosine/2/0.25", "straight_through_gumbel:tau=1", "gumbel_softmax:tau=1"),
    *("reinmax:tau=1.3", "indecater", "leave_one_out:samples=4", "straight_through_argmax:tau=1"),
    *("vq_straight_through", "cross_entropy", "direct_embedding", "softmax:tau=0.25"),
    *("hard_argmax", "softmax:tau=1"),
)


def comparison_table(data: str) -> str:
    """A part of the comparison at equal steps."""
    columns = ["test_relaxed", "test_decoded", "test_decoded_se"]
    columns += [f"decode_{name}" for name in ("argmax", "search", "restarts")]
    results = kept("comparison", data=data, budget="steps").set_index("estimator")[columns]
    rows = ((code(name), *results.loc[name]) for name in SHOWN)
    return table(["estimator", "relaxed", "decoded", "±", "argmax", "search", "restarts"], rows)


STARTS = ("usual", "small")
LANDED = {"argmax": "decode_argmax", "first layer": "decode_first_layer"}
LANDED |= {"search": "decode_search"}
THROUGH = ("softmax", "softmax:tau=0.25", "gumbel_softmax", "straight_through_gumbel")
THROUGH += ("straight_through_argmax", "direct_embedding")


def landings(start: str) -> pd.DataFrame:
    """Losses by estimator and decoder, on the flights."""
    return kept("inspection_landings", data="flights", start=start).set_index("estimator")


ANSWERS = {
    "softmax:tau=1": "softmax: a mixture of categories",
    "gumbel_softmax:tau=cosine/2/0.25": "Gumbel-softmax: a noisy mixture, ever colder",
    "straight_through_gumbel:tau=1": "straight-through Gumbel: a sampled one-hot",
    "straight_through_argmax:tau=1": "straight-through argmax: the argmax one-hot",
}
ANSWERED = ["decode_argmax", "decode_first_layer", "decode_search", "decode_restarts"]


def answers() -> pd.DataFrame:
    """What README's table is made of."""
    return everywhere("flights", "plain").loc[list(ANSWERS)]


def answer_table() -> str:
    """README's four rows, the best of each decoder in bold."""
    texts = answers()[["decode_relaxed", *ANSWERED]].map("{:.2f}".format)
    decoded = texts[ANSWERED]
    texts[ANSWERED] = decoded.where(decoded != decoded.min(), "**" + decoded + "**")
    heads = ["what net0 hands to net1 in training", "relaxed", "decoded by argmax"]
    heads += ["by the first layer", "by search", "by restarts"]
    return table(heads, ((ANSWERS[name], *row) for name, *row in texts.itertuples()))


EVERYWHERE = {  # the heads, and what stands below them
    "`softmax`: argmax": ("softmax:tau=1", "argmax"),
    "table": ("softmax:tau=1", "table"),
    "search": ("softmax:tau=1", "search"),
    "restarts": ("softmax:tau=1", "restarts"),
    "Gumbel-softmax: argmax": ("gumbel_softmax:tau=cosine/2/0.25", "argmax"),
    "straight-through Gumbel: argmax": ("straight_through_gumbel:tau=1", "argmax"),
    "direct embedding: search": ("direct_embedding", "search"),
    "labels alone: argmax": ("cross_entropy", "argmax"),
}
NETS = {"plain": "plain", "deep": "deep", "ft_transformer": "FT-Transformer"}


def swept(kind: str = "") -> pd.DataFrame:
    """The comparison over all of it, or its cells: behind nets of ours, and behind another's."""
    names = (f"{job}{kind}.csv" for job in ("everywhere", "transformers"))
    return pd.concat([pd.read_csv(RESULTS / name) for name in names], ignore_index=True)


def everywhere(data: str, net: str) -> pd.DataFrame:
    """Means over seeds behind one kind of net1 on one table, by estimator."""
    found = swept()
    asked = (found["data"] == data) & (found["net"] == net) & (found["budget"] == "steps")
    return found[asked].set_index("estimator")


def places() -> list[tuple[str, str]]:
    """The tables, and the kinds of net1 that were tried on each."""
    found = swept()
    tried = {*zip(found["data"], found["net"], strict=True)}
    return [(data, net) for data in comparison.DATA_ROWS for net in NETS if (data, net) in tried]


def everywhere_table() -> str:
    """The best ways, table by table and net1 by net1, over the limit."""

    def rows() -> Iterator[Row]:
        for data, net in places():
            part = everywhere(data, net)
            limit, random = part[["limit", "random_row"]].iloc[0]
            losses = (part.loc[name, f"decode_{by}"] for name, by in EVERYWHERE.values())
            over = ("" if pd.isna(loss) else f"{loss / limit - 1:+.0%}" for loss in losses)
            yield data, NETS[net], random, f"{limit:.3g}", *over

    return table(["table", "net1", "a random row", "limit", *EVERYWHERE], rows())


def ranked(*, folding: bool) -> compare.Ranks:
    """Ranks over all nets, or over those that fold, whose rows every decoder decodes."""
    cells = swept("_cells")
    return compare.rank(cells[cells["net"].isin(FOLDING)] if folding else cells)


def ranks_table() -> str:
    """Mean ranks, shares of the way, and what is tied with the best."""
    found = ranked(folding=True)
    best, ranks = found.best, found.table()
    rows = (
        (code(way), row["rank"], *(f"{row[part]:.1%}" for part in ("median", "min")),
         "best" if way == best[0] else "tie" if way in best else "")
        for way, row in ranks.iterrows()
    )  # fmt: skip
    return table(["way", "mean rank", "of the way: median", "worst", ""], rows)


def over_limit(way: str, data: str) -> pd.Series:
    """How far above the limit another way's rows are on a table, by decoder."""
    (found,) = kept("ways", way=way, data=data).to_dict("records")
    return pd.Series({by: found[by] / found["limit"] - 1 for by in DECODERS if by in found})


def ways_table() -> str:
    """Other ways to a better net0, over the limit."""
    found = kept("ways")
    names = found["data"].drop_duplicates()

    def rows() -> Iterator[Row]:
        for way in found["way"].drop_duplicates():
            over = (over_limit(way, data) for data in names)
            yield way, *(" / ".join(f"{share:.0%}" for share in part) for part in over)

    return table(["way", *names], rows())


def starts_table() -> str:
    """The limit, and what softmax and search reach, by the size of the tables' start."""
    found = kept("starts")
    means = found.groupby("start", sort=False)["correlation"].mean()
    names = list(found["data"].drop_duplicates())
    losses = found.pivot(index="start", columns="data", values=["limit", "softmax_search"])
    both = losses.map("{:.2f}".format)
    both = both["limit"] + " / " + both["softmax_search"]
    rows = ((start, *both.loc[start, names], means[start]) for start in means.index)
    heads = (f"{name}: limit / search" for name in names)
    return table(["standard deviation at the start", *heads, "net1's correlation"], rows)


def joint_table() -> str:
    """Joint training against net1 first."""
    found = kept("joint")
    columns = ["net1_correlation", "limit", "decoded", "share", "judged"]

    def rows() -> Iterator[Row]:
        for _, row in found.iterrows():
            way = f"together, net0's loss times {row.weight:g}" if row.weight else "net1 first"
            through = f"{code(row.estimator)} by {row.decoder}"
            yield row["data"], through, way, *row[columns[:3]], f"{row.share:.1%}", row.judged

    heads = ["table", "through", "way", "net1's correlation", "limit", "decoded"]
    return table([*heads, "of the way", "by the judge"], rows())


def decoders_table() -> str:
    """Losses by start, estimator and decoder."""
    results = [landings(start)[list(LANDED.values())] for start in STARTS]
    rows = ((code(name), *results[0].loc[name], *results[1].loc[name]) for name in THROUGH)
    first, *others = LANDED
    starts = (f"{start} start: {first}" for start in STARTS)
    heads = [head for start in starts for head in (start, *others)]
    return table(["net0 trained through", *heads], rows)


MEASURES = {"decoded": "decoded", "accuracy": "accuracy", "told_apart": "told"}
FRONTIER = {  # the heads, and what stands below them
    "by argmax": ("straight_through_gumbel", "argmax"),
    "drawn": ("straight_through_gumbel", "sample"),
    "`softmax` by search": ("softmax", "search"),
}


def frontier_table() -> str:
    """What the labels' weight does to loss, accuracy and the classifier's share."""

    def line(name: str, decoder: str, weight: float = 0.0) -> list[float]:
        found = kept("frontier", estimator=name, decoder=decoder, label_weight=weight)
        return found[list(MEASURES)].iloc[0].to_list()

    weights, empty = sorted(set(kept("frontier")["label_weight"])), [""] * len(MEASURES)
    rows = [(f"{w:g}", *(m for at in FRONTIER.values() for m in line(*at, w))) for w in weights]
    labels = [line("cross_entropy", decoder) for decoder in ("argmax", "sample")]
    random = kept("frontier", estimator="random row")[list(MEASURES)].iloc[0]
    rows += [(f"{code('cross_entropy')} alone", *labels[0], *labels[1], *empty)]
    rows += [("a random flight", *random, *empty, *empty)]
    first, *others = MEASURES.values()
    heads = [head for words in FRONTIER for head in (f"{words}: {first}", *others)]
    return table([code("label_weight"), *heads], rows)


VIEWS = {"the table": "table", "after the first layer": "first_layer", "behind net1": "output"}


def views_table() -> str:
    """What two seeds agree on, and what is true, of the destinations."""

    def cells(view: str) -> Iterator[float]:
        for start in STARTS:
            wanted = {"data": "flights", "column": "dest", "view": view, "start": start}
            agreement = kept("inspection_agreement", **wanted)["distance_correlation"].item()
            yield agreement
            truth = kept("inspection_scores", **wanted, truth="great circle (km)")
            yield truth["correlation"].item()

    heads = [head for s in STARTS for head in (f"{s} start: seeds agree", "kilometres")]
    rows = ((words, *cells(view)) for words, view in VIEWS.items())
    return table(["view of the destinations", *heads], rows)


def ratios(name: str, places: dict[str, dict[str, int]], head: str, baseline: str) -> str:
    """A kept race: contestants by the places where they raced, over the baseline."""
    races = [kept(name, **place).set_index("contestant")["ratio"] for place in places.values()]
    names = [contestant for contestant in races[0].index if contestant != baseline]
    rows = ((code(n), *(race.get(n, "") for race in races)) for n in names)
    return table([head, *places], rows)


def steps_table() -> str:
    """A step of net0 over one of a plain MLP."""
    places = {
        f"{columns} columns, {threads} thread{'s'[: threads - 1]}": {
            "columns": columns,
            "threads": threads,
        }
        for columns in (10, 50)
        for threads in (1, 2)
    }
    return ratios("speed_steps", places, "net0 trained through", "plain MLP")


def inputs_table() -> str:
    """net1's input, over a lookup a column."""
    places = {
        f"{columns} columns, {rows:,} rows": {"columns": columns, "rows": rows, "threads": 1}
        for columns in (10, 50)
        for rows in (1_000, 200_000)
    }
    return ratios("speed_inputs", places, "net1's input by", "index per column")


def gpu_steps_table() -> str:
    """A step of net0 on a GPU: milliseconds as one graph, over the plain MLP's, one by one."""
    found = pd.read_csv(RESULTS / "gpu_steps.csv").set_index(["columns", "contestant"])
    names = dict.fromkeys(name.removesuffix(", captured") for _, name in found.index)

    def cells(columns: int, name: str) -> Row:
        graph, alone = ((columns, n) for n in (f"{name}, captured", name))
        has = graph in found.index
        yield from found.loc[graph, ["ms", "ratio"]] if has else ("", "")
        yield found.loc[alone, "ms"]

    rows = ((code(name), *cells(10, name), *cells(50, name)) for name in names)
    heads = ["as one graph", "over the MLP's", "one by one"]
    every = [f"{columns} columns: {heads[0]}" for columns in (10, 50)]
    return table(["net0 trained through", every[0], *heads[1:], every[1], *heads[1:]], rows)


def fast_table() -> str:
    """What each file of tabkit/fast says of itself."""

    def rows() -> Iterator[Row]:
        for file in sorted(Path(fast.__file__).parent.glob("*.py")):  # one needs Triton: read
            doc = ast.get_docstring(ast.parse(file.read_text()))
            doc = " ".join(doc.split()).replace("``", "`")
            if parts := re.fullmatch(r".*Formula:\*\* (.*)\. \*\*Faster:.*Pays:\*\* (.*)\.", doc):
                yield code(f"fast.{file.stem}"), *parts.groups()

    return table(["file", "the formula", "where the faster one pays"], rows())


def torture_table() -> str:
    """What `make torture` found: kind by kind, all that it counted and measured."""
    found = pd.read_csv(RESULTS / "torture.csv", dtype=str)
    words = found["what"].str.replace("_", " ")
    rows = zip(found["kind"], words, found["figure"], strict=True)
    return table(["kind", "what", "figure"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "answer": answer_table,
    "estimators": estimators_table,
    "formula": formula,
    "main_job": main_job_table,
    "comparison_flights": lambda: comparison_table("flights"),
    "comparison_planted": lambda: comparison_table("planted"),
    "everywhere": everywhere_table,
    "ranks": ranks_table,
    "starts": starts_table,
    "joint": joint_table,
    "frontier": frontier_table,
    "views": views_table,
    "decoders": decoders_table,
    "steps": steps_table,
    "ways": ways_table,
    "gpu_steps": gpu_steps_table,
    "inputs": inputs_table,
    "fast": fast_table,
    "torture": torture_table,
}


def filled(text: str) -> str:
    """A page with its tables as they should be."""
    return PLACE.sub(lambda found: f"{found[1]} -->\n{TABLES[found[1]]()}\n", text)


def main() -> None:
    """Writes the pages whose tables are out of date, and names them."""
    for page in PAGES:
        text = page.read_text()
        if (new := filled(text)) != text:
            page.write_text(new)
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
