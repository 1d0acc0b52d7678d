# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 06 · Are near categories alike?
#
# **You will** look up neighbours in net1's embedding tables, hold them against the truth and
# against other seeds, and draw maps of them.
#
# **You learn** why the distances in a trained table can be those of its random start, where to look
# instead, and how to tell structure from accident.
#
# **You need** notebooks 01 and 03. About 2.5 minutes of computing on two cores, 10 seconds of
# them for UMAP, which compiles itself when first used.
#
# **Where this stands.** [[course]]

# %%
import numpy as np
import pandas as pd
import torch

import tabkit
from tabkit import compare, inspection, plots, widgets
from tabkit.lesson import SEED, check, claim, kept, predict, quiz, short

# %% [markdown]
# ## The question
#
# net1 has one vector of 8 numbers for each destination. It never saw a map; it was trained so that
# distances between its *outputs* match distances between flights' outcomes: time in the air, two
# delays. People look up the nearest neighbours in such a table, or draw a UMAP of it, and tell
# stories about what they see; notebook 01 told one. A decoder that snaps to the nearest embedding
# (notebook 04) relies on it too. Are near categories alike? The tables of these nets start with
# rows of length 1 on average (`embedding_std=None`); what that does is a part of the lesson.
# `trained` keeps what it trains, for a second run.

# %%
data = tabkit.flights(seed=SEED)
many = short(600)


def trained(seed, start=None):
    """A frozen net1; `start` is the standard deviation of its tables before training."""
    net1 = tabkit.RowEncoder(data.schema, embedding_std=start, seed=seed)
    file = kept(f"06-net1-{seed}-{start}")
    fit = tabkit.fit_encoder(net1, data, steps=many, batch=1024, seed=seed, checkpoint=file)
    fit.run(f"net1, seed {seed}")
    return tabkit.freeze(net1)


seeds = [5 * SEED + k for k in range(short(5, 3))]
nets = [trained(seed) for seed in seeds]
net1 = nets[0]

# %% [markdown]
# The five nearest of Los Angeles and of Boston, in the table of the first net1:

# %%
table = inspection.category_vectors(net1, data, "dest")
near = inspection.nearest(table, ["LAX", "BOS"])
near.join(data.truth["dest"]["dest_name"], on="neighbour")

# %% [markdown]
# One can make a story of it. Before you do: there are 104 destinations, and the same net1 was
# trained from five seeds. Of a destination's five nearest neighbours, how many are the same from
# one seed to another, on average?

# %%
guess = predict(
    "06.a",
    "How many of five neighbours stay from seed to seed?",
    options=range(6),
    reread="The question",
)

# %%
tables = [inspection.category_vectors(n, data, "dest") for n in nets]
shared = inspection.agreement(tables)
print(guess.compare(round(5 * shared["overlap"])))
print(f"{5 * shared['overlap']:.2f} stay; {5 * shared['chance']:.2f} would by chance")

# %% [markdown]
# So the story was mostly about a seed. What does a table consist of, then? We still have its random
# start: the same seed makes the same untrained net. How far has training *moved* each category, and
# which share of its neighbours has it `kept`? One suspicion is that rare categories, which are
# seldom in a batch, stay where they started.

# %%
start = tabkit.RowEncoder(data.schema, embedding_std=None, seed=seeds[0])
columns = ["dest", "carrier", "manufacturer", "hour"]
both = {c: [inspection.category_vectors(n, data, c) for n in (start, net1)] for c in columns}
moved = {column: inspection.movement(*pair) for column, pair in both.items()}
summary = pd.DataFrame({column: frame.mean() for column, frame in moved.items()}).T
summary["as_before"] = [inspection.agreement(p)["distance_correlation"] for p in both.values()]
numbers = [(frame["count"], frame["moved"]) for frame in moved.values()]
summary["moved_with_count"] = [inspection.rank_correlation(*n)[0] for n in numbers]
summary.round(2)

# %%
plots.movement(moved)

# %% [markdown]
# Vectors of length 1 moved by a fifth to a half on average, and their distances are still much
# those of the start (`as_before`: rank correlation). Rare ones need not sit nearer to it: where
# `moved_with_count` is negative, they moved *more*. Adam (Kingma and
# Ba, arXiv:1412.6980) divides each step by the size of recent gradients, so that a category that is
# seldom seen can move as far as a frequent one. (This would explain it; we have not trained with
# another optimiser.)
#
# ## Where to look instead
#
# The table is only the first half of a product. What counts is what net1 *makes* of a category. Two
# other views of the same categories:
#
# - **after the first layer**: net1's first linear layer maps an embedding $e$ to $Ae$. It stretches
#   some directions of the table several times as much as others;
# - **behind net1**: take 256 flights and put the one category, then the other, in each of them. How
#   far does net1's output move?
#
# $$d(a, b)^2 = \frac{1}{R} \sum_{r=1}^{R} \bigl\| f(x_r \text{ with } a) - f(x_r \text{ with } b)
# \bigr\|^2$$

# %%
behind = inspection.category_vectors(net1, data, "dest", view="output")
near = inspection.nearest(behind, ["LAX", "BOS"])
near.join(data.truth["dest"]["dest_name"], on="neighbour")

# %%
views = {v: inspection.category_vectors(net1, data, "dest", view=v) for v in inspection.VIEWS}
links = {view: inspection.nearest(vectors, k=1) for view, vectors in views.items()}
plots.geography(table.facts, links, latitude="dest_lat", longitude="dest_lon")

# %% [markdown]
# Each destination is joined with its nearest neighbour in three views. Those of the table cross the
# country; behind net1 the lines are shorter. And the seeds? (The next cell is the longest of this
# notebook and has no bar: six columns, three views, five nets.)

# %%
agreed = pd.DataFrame(
    {
        "column": column,
        "view": view,
        **inspection.agreement(
            [inspection.category_vectors(n, data, column, view=view) for n in nets]
        ),
    }
    for column in ["dest", "hour", "month", "wind_dir", "carrier", "manufacturer"]
    for view in inspection.VIEWS
)
plots.agreement(agreed)

# %% [markdown]
# The five nets agree about destinations and hours *behind* net1, and much less in the tables.
# About manufacturers they agree least, even there: that is mostly luck.
#
# ## Structure or accident?
#
# Agreement is not truth. For some columns we know true distances that net1 never saw: kilometres
# between destinations, the clock's order, which carriers fly whose planes. The score is Spearman's
# correlation between distances of categories in a view and true distances, over all pairs. How good
# can it get by accident? A [**permutation test**](../docs/glossary.md#permutation-test) exchanges
# the truth at random among the categories and scores again, 999 times; its p-value is the share of
# exchanges that score at least as high (so it is never below 0.001). `frequency`, how often a
# category occurs, is a control.

# %%
truths = inspection.known_truths(data)
scores = inspection.truth_scores(net1, data, truths)
behind_net1 = scores[scores["view"] == "output"].set_index(["column", "truth"])
behind_net1[["categories", "correlation", "correlation_p", "correlation_q"]].round(3)

# %%
plots.scores(scores[scores["truth"] != "frequency"])

# %% [markdown]
# `correlation_q` allows for the number of tests: with so many, some small p-values come by chance
# (false discovery rate). Destinations and hours have structure beyond doubt. Of the others one or
# another has a small p from one seed or another, and not once the number of tests is allowed for.
# (With the full training of `benchmarks/inspection.py` all five seeds find the wind's ring: weak,
# and real.) That is not nothing: where the seeds agree (figure above), they agree on something, and
# we have no name for it. `outcomes` is what net1 was trained for.
#
# Does net1 know the *map*, then, or only how far each place is from New York? `given=home`, below,
# takes out of both distances what the distance from New York tells, and correlates the rest.

# %%
options = ["the map", "mostly the distance from New York"]
guess = predict(
    "06.b",
    "What does net1 know of the destinations?",
    options=options,
    reread="Structure or accident?",
)

# %%
km, home = (truths["dest"][n] for n in ("great circle (km)", "distance from New York (km)"))
alone = inspection.truth_score(behind, km)
left = inspection.truth_score(behind, km, given=home)
print(f"kilometres between destinations: {alone['correlation']:.2f}")
print(f"what distance from New York does not tell of it: {left['correlation']:.2f}")
print(guess.compare(options[int(left["correlation"] < 0.5 * alone["correlation"])]))

# %% [markdown]
# Flights to Seattle and to Los Angeles take about as long, so to net1 the two are near. (Is SEA
# among the neighbours of LAX above?)
#
# ## Maps, and whether to trust them
#
# PCA shows the two directions of largest variance. UMAP (arXiv:1802.03426) bends the space so that
# neighbours stay together. Every map lies somewhere; two numbers say how much. **Trustworthiness**:
# are neighbours on the map neighbours behind net1? **Continuity**: are neighbours behind net1 still
# neighbours on the map? Both are 1 at best. Choose a column, then a category: its neighbours light
# up.

# %%
maps = {
    column: inspection.project(
        inspection.category_vectors(net1, data, column, view="output"), progress=column == "dest"
    )
    for column in ["dest", "hour", "month", "wind_dir", "carrier", "manufacturer"]
}
plots.category_maps(maps)

# %% [markdown]
# Carriers and manufacturers make pretty maps too; they match no truth that we know, and
# manufacturers not even another seed. Never read a map without its scores. Next, 20,000 whole rows:
# net1's outputs for the test flights, coloured by any column.

# %%
rows = inspection.row_vectors(net1, data, data.test[: short(20_000, 1_000)])
flights_map = inspection.project(rows, progress=True)
plots.row_map(flights_map)

# %% [markdown]
# By `air_time` the colours run from one side of the map to the other; across it run, more faintly,
# `hour` and the delays. `manufacturer` shows patches as well, as short flights are flown by other
# planes: a patch of colour is no proof that net1 cares for the column.
#
# ## Why
#
# net1 sees an embedding only as $Ae$, and $A$ is trained too: what matters can be stretched by $A$
# in place of being moved in the table. The layers behind can cancel the rest; the seeds agree more
# after the first layer, and most behind net1. Nothing in the loss asks for a tidy table, and
# nothing shrinks it (Adam, no weight decay). So the random part stays, and distances in the table
# mix what was learned with what was never cleared away.
#
# So leave less to clear away. Start the tables *small*; then what they hold at the end is what
# training put there. `RowEncoder` does so if it is not told otherwise: with a standard deviation of
# 0.01, less than a thirtieth of the usual start.

# %%
small = [trained(seed, start=0.01) for seed in seeds[:2]]
pairs = {"usual start": nets[:2], "small start": small}
after = {
    name: inspection.agreement([inspection.category_vectors(n, data, "dest") for n in pair])
    | {"fit": compare.distance_correlation(pair[0], data, data.test)}
    for name, pair in pairs.items()
}
pd.DataFrame(after).loc[["overlap", "chance", "distance_correlation", "fit"]].round(2)

# %% [markdown]
# The table's own distances now agree from seed to seed, and net1 fits the outcomes about as well
# (`fit`: correlation of its distances with theirs). And such a net1 is easier to predict rows for:
# less of its output is what the start left there ([what net1
# learned](../docs/what_net1_learned.md), on five tables).
#
# ## Turn the dial
#
# Walk from one destination to another through their mixtures, by `share`. Before you do: on the way
# from Boston to Los Angeles, will net1's output always be nearest to one of the two? Then change
# the view and the projection.

# %%
walk = widgets.embedding_explorer(net1, data, column="dest", category="BOS", other="LAX", share=0.5)
walk

# %% [markdown]
# ## Exercises
#
# **1. How many neighbours stay** (★, 10 minutes). `a` and `b` are the vectors (K, D) of the same
# categories in two tables. Write `overlap(a, b, k)`: the share of the `k` nearest neighbours of a
# category in the one that are among its `k` nearest in the other, on average.
#
# <details><summary>Hint 1</summary><code>torch.cdist(a, a)</code>; a category is no neighbour of
# its own, so fill the diagonal with infinity.</details>
# <details><summary>Hint 2</summary><code>.topk(k, largest=False).indices</code>, and a set for each
# row.</details>


# %%
def overlap(a, b, k):
    ### BEGIN SOLUTION
    # Two lists of k neighbours for each category; how much of the one is in the other?
    near = []
    for table in (a, b):
        apart = torch.cdist(table, table).fill_diagonal_(torch.inf)
        near.append(apart.topk(k, largest=False).indices.tolist())
    shares = [len(set(one) & set(other)) / k for one, other in zip(*near, strict=True)]
    return sum(shares) / len(shares)
    ### END SOLUTION


check("06.1", overlap)

# %% [markdown]
# **2. How often by accident?** (★★, 10 minutes). A permutation test has the `score` of the truth,
# and the `scores` of as many exchanged truths. Write `p_value(score, scores)`: the share of scores,
# the true one among them, that are at least as high as it.
#
# <details><summary>Hint</summary>The true one counts above and below the line: with 999 exchanges
# of which none is as high, p is 1 / 1000, and never 0.</details>


# %%
def p_value(score, scores):
    ### BEGIN SOLUTION
    # The truth is one of the arrangements that chance could have made, so it is counted, too.
    return (1 + int((np.asarray(scores) >= score).sum())) / (1 + len(scores))
    ### END SOLUTION


check("06.2", p_value)

# %% [markdown]
# **3. A test of your own** (★★★, 15 minutes, open). Is there structure by *latitude*, beyond what
# the distance from New York tells? Make the true distances from `behind.facts["dest_lat"]` with
# `inspection.line`, and score the view `behind`, `given=home`; set `latitude` to what
# `inspection.truth_score` returns. (Without `given` there is a small correlation. What is left?)
#
# <details><summary>Hint</summary><code>inspection.line</code> takes an array, so
# <code>.to_numpy()</code>. Destinations whose place is unknown are left out by
# themselves.</details>

# %%
latitude = None
### BEGIN SOLUTION
# Little or nothing is left: north and south matter to net1 as far as they are far from New York.
north = inspection.line(behind.facts["dest_lat"].to_numpy())
latitude = inspection.truth_score(behind, north, given=home)
### END SOLUTION


check("06.3", latitude, behind, home)

# %% [markdown]
# ## Take-aways

# %%
by_view = agreed.set_index(["column", "view"])["distance_correlation"]
p, learned = behind_net1["correlation_q"], pd.DataFrame(after).T
claim(
    "From seed to seed, destinations' distances agree behind net1 (rank correlation), ...",
    by_view["dest", "output"],
    at_least=0.9,
)
claim("... and much less in the table.", by_view["dest", "table"], at_most=0.6)
claim(
    "In the table, most of a destination's neighbours are a seed's: the share that stays.",
    shared["overlap"],
    at_most=0.5,
)
claim(
    "Its distances are still much those of the random start (rank correlation).",
    summary["as_before"]["dest"],
    at_least=0.5,
)
seen = by_view.xs("output", level="view")
claim(
    "Behind net1 the seeds agree least about manufacturers: less than about the next.",
    seen.drop("manufacturer").min() - seen["manufacturer"],
    at_least=0.0,
)
structure = max(p["dest", "great circle (km)"], p["hour", "order"])
claim(
    "Destinations and hours have structure: q of kilometres and of the clock.",
    structure,
    at_most=0.05,
)
claim(
    "Most of what net1 knows of the map is the distance from New York: left, over all.",
    left["correlation"] / alone["correlation"],
    at_most=0.5,
)

# %%
claim(
    "A small start makes the table's own distances agree between seeds, ...",
    learned["distance_correlation"]["small start"],
    at_least=0.75,
)
claim(
    "... and net1 fits the outcomes as well.",
    learned["fit"]["small start"] - learned["fit"]["usual start"],
    at_least=-0.03,
)

# %% [markdown]
# **A rule.**
#
# 1. Do not read distances off a trained table, nor off a UMAP of it, before you have compared two
#    seeds. Look behind the net (`view="output"`), or at least after its first layer.
# 2. Say with each structure that you see its score, its p-value, and how many you looked for.
# 3. Start tables small: they can be read, and snapped to, and net1's output can be predicted.
#
# `inspection.save_projector(behind, "runs/projector")` writes the two files that TensorFlow's
# Embedding Projector reads; `behind.frame().to_parquet(path)` keeps everything.
# `python benchmarks/inspection.py` measures all of this with full training, five seeds, on flights
# and planted rows.
#
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [07 · Where predictions
# land](07_where_predictions_land.ipynb) asks whether net0's rows are like real ones.

# %%
quiz("06")
