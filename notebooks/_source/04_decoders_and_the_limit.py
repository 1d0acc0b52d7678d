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
# # 04 · Were the mixtures bad, or only the way they were decoded?
#
# **You will** look at where the softmax's mixtures lie, walk from one destination to another
# through their mixtures, decode the same net0s in five ways, and hold all against the limit.
#
# **You learn** what an argmax throws away, how a search behind net1 finds a row for a mixture, and
# what each decoder costs.
#
# **You need** notebook 03. About 1 minute of computing on two cores.
#
# **Where this stands.** [[course]]

# %%
import torch

import tabkit
from tabkit import compare, decoders, estimators, inspection, plots, simplex, widgets
from tabkit.lesson import SEED, check, claim, kept, predict, quiz, short
from tabkit.nets import encode_rows

# %% [markdown]
# ## The question
#
# In notebook 03 the softmax's relaxed loss was the best of all and its rows, by argmax, cost
# several times those of straight-through Gumbel. Two things may be at fault. Either net1 reads a
# mixture as nonsense that no row can have, and the low loss was worth nothing. Or there *are* rows
# where the mixtures lie, and the argmax does not find them.
#
# We train the two again, behind the net1 of notebook 01 (taken up, if it is there). After each bar
# 400 rows are decoded in five ways, which takes some seconds more.

# %%
data = tabkit.flights(seed=SEED)
net1 = tabkit.RowEncoder(data.schema, seed=SEED)
tabkit.fit_encoder(net1, data, steps=short(600), seed=SEED, checkpoint=kept("net1")).run("net1")
net1 = tabkit.freeze(net1)

# %%
softmax = estimators.make("softmax")
ways = {"softmax": softmax, "straight_through_gumbel": estimators.make("straight_through_gumbel")}
rows = short(400, 40)
trained = {
    name: compare.train_and_score(
        estimator, net1, data, name=name, steps=short(600), seed=SEED, decode_rows=rows
    )
    for name, estimator in ways.items()
}
net0 = trained["softmax"].net0

# %% [markdown]
# ## Where do the mixtures lie?
#
# A mixture of a column's categories has a mixture of their embeddings, the
# [*soft embedding*](../docs/glossary.md#soft-embedding). For each column below: the mean largest
# share, as in notebook 03; the distance of the soft embedding to the *nearest* category's
# embedding, in units of the usual distance between neighbouring categories (`to_nearest`); and how
# often that category is the one with the largest share, which the argmax takes
# (`nearest_is_decoded`).

# %%
landed = inspection.landing(net0, net1, data, softmax, data.test)
where = landed.distances()
where[["largest_share", "to_nearest", "nearest_is_decoded"]].round(2)

# %% [markdown]
# In `dest` the two are seldom the same. A mixture of many destinations lies close to another one,
# as a point between Boston and Los Angeles lies in neither. Does net1 read such a point as
# nonsense? We take a flight and move its destination from BOS to LAX, share by share. On the way:
# is net1's output always nearest to that of one of the two?

# %%
options = ["always one of the two", "on the way, a third"]
guess = predict(
    "04.a",
    "From BOS to LAX, net1's output is nearest to",
    options=options,
    reread="Where do the mixtures lie?",
)

# %%
dest = [column.name for column in data.schema.categorical].index("dest")
airports = data.schema.categorical[dest].categories
ends = [airports.index(name) for name in ("BOS", "LAX")]
path = inspection.walk(net1, data.rows[data.test[:1]], dest, *ends)
met = [airports[k] for k in path["nearest"].unique() if k not in ends]
print(guess.compare(options[bool(met)]), f"{len(met)} others, such as {', '.join(met[::8])}.")
plots.walk(path, "BOS", "LAX")

# %% [markdown]
# net1's output moves smoothly, and on a part of the way it is nearer to a *third* destination than
# to either end. So net1 does not stumble over the mixture: it reads it as some other flight.
#
# ## Is there a row?
#
# A **local search** looks for a hard row with the mixture's output: start somewhere, change the one
# category that brings the row's output nearest to that of the mixture, again and again, until none
# helps. Below, the mean squared distance behind net1 from the mixture to its argmax row, and to the
# row that the search finds.

# %%
found = inspection.reach(net0, net1, data, softmax, data.test[: short(100, 20)])
{name: round(distance, 3) for name, distance in found.items()}

# %% [markdown]
# There *is* a hard row at almost the same place; the argmax does not find it.
#
# ## Why
#
# The argmax looks at shares and at nothing else. It never asks net1 where a row lies:
#
# $$\arg\max_k p_k \quad\text{asks for the largest share, not for}\quad
# \arg\min_{\text{rows } x} \bigl\| f(x) - f({\textstyle\sum_k p_k W_k}) \bigr\|.$$
#
# A [*decoder*](../docs/glossary.md#decoder) may do better:
#
# | decoder | the row that it takes | it needs |
# |---|---|---|
# | `argmax` | the largest share in each column | the logits |
# | `table` | in each column the category whose embedding is nearest | net1's tables |
# | `first_layer` | the same, with distances as net1's first layer sees them | net1's first layer |
# | `search` | one category is changed at a time, while that brings it nearer behind net1 | net1 |
# | `restarts` | the best of ten searches; then net0's numbers move, too | net1, ten times |
#
# (Nearer to the mixture's output; none of them knows the true flight.) And one more line, the
# [**limit**](../docs/glossary.md#limit): a net of net0's size that outputs net1's output itself, no
# row at all: about the least that a net0 can reach. Decoded by the search, where will the softmax's
# rows stand?

# %%
places = ["worse than straight-through's argmax", "better than it"]
second = predict("04.b", "Decoded by search, the softmax's rows are", options=places)

# %% [markdown]
# ## The experiment

# %%
limits = compare.ends_of(net1, data, rows=rows, steps=short(600), seed=SEED)
table = compare.table(trained.values()).set_index("estimator").assign(**limits)
losses = table.filter(regex="decode_(argmax|table|first_layer|search|restarts)")
losses.round(2).assign(limit=round(limits["limit"], 2))

# %%
argmax, search = losses["decode_argmax"], losses["decode_search"]
print(second.compare(places[int(search["softmax"] < argmax["straight_through_gumbel"])]))
plots.by_decoder(table)

# %% [markdown]
# The best of all, and near the limit. **The mixture was never at fault; the decoder was.** Where
# net1 gets a *sampled row* in training, as with straight-through Gumbel, a search only finds such a
# row again: it gains little, or loses a little.
#
# A search has its price, some two hundred evaluations of net1 a row; restarts take over ten times
# as many, and gain a little more, or nothing:

# %%
costs = table.loc["softmax"].filter(regex="^(evaluations|seconds)_")
costs.index = costs.index.str.split("_", n=1, expand=True)
units = {"evaluations": "evaluations a row", "seconds": "seconds for 20,000 rows"}
costs.unstack(0).rename(columns=units).sort_values(units["seconds"]).round(1)

# %% [markdown]
# Does it hold elsewhere? The kit's comparison has five tables, three kinds of net1 and five seeds.
# In 14 of 15 places the plain softmax, decoded by search, has better rows than the argmax of any
# other estimator; in one, Gumbel-softmax by argmax is as near
# ([comparison](../docs/comparison.md)).
#
# ## Turn the dial
#
# One row by every decoder. Count `row` up: does the search win in each row, or only on the mean?
# Has the row that lies nearer more true categories? (*On the mean. And hardly: net1 maps many rows
# to one place.*)

# %%
fit = compare.fit_limit(net1, data, steps=short(600), seed=SEED)
fit.run("limit")
limit = fit.modules["limit"]
widgets.decoder_explorer(net0, net1, data, limit=limit)

# %% [markdown]
# A row by hand: what net0 makes of each column, how far the decoded row lies from the true one, and
# what changes when you overrule one category. Which single one helps most? You are doing the first
# step of the search, with the true row in place of the mixture.

# %%
explorer = widgets.row_explorer(net0, net1, data)
explorer

# %% [markdown]
# ## Exercises
#
# **1. Snap to the table** (★, 5 minutes). Write `nearest(mixtures, table)`: for mixtures (B, D) the
# codes (B,) of the nearest rows of `table` (K, D).
#
# <details><summary>Hint</summary><code>torch.cdist</code> makes the distances (B, K).</details>


# %%
def nearest(mixtures, table):
    ### BEGIN SOLUTION
    # The smallest of K distances, for each mixture. (An inner product would favour long rows.)
    return torch.cdist(mixtures, table).argmin(dim=1)
    ### END SOLUTION


check("04.1", nearest)

# %% [markdown]
# **2. One step of the search** (★★, 15 minutes). `loss` takes rows (B, C) of codes and returns a
# loss for each (B,). Write `best_exchange(codes, loss, cardinalities)`: for *one* row (C,) of codes
# the row that lies lowest among all that differ from it in at most one column.
#
# <details><summary>Hint 1</summary>Two loops, over columns and over categories, collect the
# candidates; <code>codes.clone()</code> makes a new one.</details>
# <details><summary>Hint 2</summary>Evaluate them together: <code>loss(torch.stack(...))</code>.
# </details>


# %%
def best_exchange(codes, loss, cardinalities):
    ### BEGIN SOLUTION
    # The row itself is a candidate: putting in the category that is there changes nothing.
    candidates = []
    for column, K in enumerate(cardinalities):
        for k in range(K):
            other = codes.clone()
            other[column] = k
            candidates.append(other)
    candidates = torch.stack(candidates)
    return candidates[loss(candidates).argmin()]
    ### END SOLUTION


check("04.2", best_exchange)

# %% [markdown]
# **3. From a bad start** (★★★, 15 minutes, open). How much does a search depend on where it starts?
# Search from random rows in place of the mixture's own: `decoders.local_search(start, objective,
# cardinalities)` returns the rows and their distances to the mixture. Set `from_random` to the mean
# loss, to the *true* rows, of those that it finds for the first 40 test rows. The objectives are
# there.
#
# <details><summary>Hint</summary><code>start</code> holds the random rows.
# Hand <code>to_mixture</code> to the search, and the rows that it finds to
# <code>to_truth</code>.</details>

# %%
forty, K = data.test[:40], data.schema.cardinalities
with torch.no_grad():
    logits, numbers = net0(data.signal[forty])
    mixed = net1(simplex.softmax(logits, K), numbers)
to_mixture = tabkit.SquaredDistance(net1, numbers, mixed)
to_truth = tabkit.SquaredDistance(net1, numbers, encode_rows(net1, data.rows[forty]))
start = data.rows.codes[data.train[:40]]
from_random = None
### BEGIN SOLUTION
# A search ends where no single exchange helps; from elsewhere that may be elsewhere.
ended, _ = decoders.local_search(start, to_mixture, K)
from_random = to_truth(ended).mean().item()
### END SOLUTION


if check("04.3", from_random, start, to_mixture, to_truth, K):
    own = (
        to_truth(tabkit.decode(net0, data.signal[forty], net1, decoder="search").codes)
        .mean()
        .item()
    )
    print(f"from random rows {from_random:.2f}, from the mixture's own {own:.2f}")

# %% [markdown]
# ## Take-aways

# %%
claim(
    "A hard row lies near the mixture's output; the argmax's row does not.",
    found["search"] / found["argmax"],
    at_most=0.1,
)
claim("On the way from one destination to another, net1's output passes a third.", bool(met))
claim(
    "For `dest`, the category nearest to the mixture is seldom the one with the largest share.",
    where.loc["dest", "nearest_is_decoded"],
    at_most=0.5,
)
claim(
    "By search, the softmax's rows are better than straight-through Gumbel's by argmax.",
    search["softmax"] / argmax["straight_through_gumbel"],
    at_most=0.95,
)

# %%
claim(
    "They cost about what the limit costs.", search["softmax"] / limits["limit"] - 1, at_most=0.15
)
claim(
    "Restarts are at least as good as one search.",
    losses.loc["softmax", "decode_restarts"] / search["softmax"],
    at_most=1.01,
)
claim(
    "The first layer's distances decode the softmax better than its argmax does.",
    losses.loc["softmax", "decode_first_layer"] / argmax["softmax"],
    at_most=0.5,
)

# %% [markdown]
# So before you blame what you trained through, ask what decodes it. If net1 may be asked when rows
# are made, train through the plain softmax and search; if not, hand net1 rows in training, too.
#
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [05 · Every estimator, one
# ruler](05_every_estimator_one_ruler.ipynb) asks which way of making gradients to choose if you
# must decode by argmax, and how far off they are.

# %%
quiz("04")
