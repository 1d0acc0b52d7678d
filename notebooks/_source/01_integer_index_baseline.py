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
# # 01 · Is a category code a number?
#
# **You will** train net1, the siamese net of this course, on 327,346 real flights whose
# categorical columns are integer codes, and find out what it makes of a code.
#
# **You learn** what an embedding table is, how a siamese net is trained, and how to measure
# whether it learned anything.
#
# **You need** Python and a little PyTorch. About 1 minute of computing on two cores.
#
# **Where this stands.** [[course]]

# %%
import pandas as pd
import torch

from tabkit import RowEncoder, compare, fit_encoder, flights, plots
from tabkit.lesson import SEED, check, claim, kept, predict, quiz, short

# %% [markdown]
# ## The question
#
# A table has columns such as *destination* or *airline*. A net wants numbers, so each category
# gets an integer code: ABQ is 0, ACK is 1, ALB is 2. Here are three flights out of New York in
# 2013, first as a person reads them, then as the net gets them.

# %%
data = flights(seed=SEED)
data.frame(data.test[:3]).round(2).astype(str).T

# %%
data.rows.codes[data.test[:3]]

# %% [markdown]
# (`nan` is a category, too: of this plane nothing is known. `filled` tells which numbers were
# unknown, and are the column's median.) `data.schema` holds the translation, in both directions.
# **C** = 11 columns are categorical; column *c* has **K** categories, its
# [*cardinality*](../docs/glossary.md#cardinality). The **N** = 9 numbers of a row (temperature,
# seats, ...) are put *in standard deviations*: less their mean, over their standard deviation.

# %%
columns = [column.name for column in data.schema.categorical]
pd.Series(data.schema.cardinalities, index=columns, name="K").to_frame().T

# %% [markdown]
# What should net1 learn? That two flights are *alike* when they turn out alike. Each flight has
# three outcomes, which net1 does not see: its time in the air and its two delays, in standard
# deviations. net1 turns a row into **Z** = 8 numbers, and the distance between two rows' outputs
# should match the distance between their outcomes.
#
# Before any training it does not. Each dot below is a pair of test flights.

# %%
untrained = RowEncoder(data.schema, seed=SEED)
plots.distance_scatter(*compare.pair_distances(untrained, data, data.test, seed=SEED))

# %% [markdown]
# ## Two ways to read a code
#
# **As a number.** The code itself, put in standard deviations, goes into the net: ALB is a little
# more than ACK, and whatever comes last in the alphabet is the largest.
#
# **As an index.** The code picks a row of a table with **D** = 8 learnt numbers a category. This
# is `nn.Embedding`. Nothing says that ABQ and ACK are near; the table has to learn it.
#
# We judge both by one figure: the correlation, over 100,000 random pairs of *test* flights, between
# distances behind net1 and distances between outcomes. 0 is nothing, 1 would be perfect. (Nobody
# gets 1: the row does not say how late the crew was.)
#
# Commit yourself before you run on. (*No difference* is one of less than .02.)

# %%
guess = predict(
    "01.a",
    "Which way of reading a code gives the better net1?",
    options=["number", "index", "no difference"],
)

# %% [markdown]
# ## The experiment
#
# The two nets differ in their tables alone. For *number* each table is one column wide, holds the
# codes themselves in standard deviations, and is not trained.


# %%
def read_codes_as_numbers(net):
    for table in net.embedding.tables:
        codes = torch.arange(float(table.num_embeddings))
        table.weight.data = ((codes - codes.mean()) / codes.std())[:, None]
        table.requires_grad_(False)


# %%
number = RowEncoder(data.schema, D=1, seed=SEED)
read_codes_as_numbers(number)
index = RowEncoder(data.schema, D=8, seed=SEED)

# %% [markdown]
# `fit_encoder` is a generator: it yields one record a step, and whoever drives it may stop, plot
# or save. `run` drives it to the end under a progress bar. The second net is kept in `runs`, where
# the later notebooks take it up.

# %%
options = {"steps": short(600), "seed": SEED}
fit_encoder(number, data, **options).run("number")
steps = fit_encoder(index, data, **options, checkpoint=kept("net1")).run("index")

# %%
plots.loss_curve(steps, title="net1 (index): mean squared error of distances")

# %%
nets = {"untrained": untrained, "number": number, "index": index}
found = {
    name: compare.distance_correlation(net, data, data.test, seed=SEED)
    for name, net in nets.items()
}
pd.Series(found, name="correlation on test pairs").round(3).to_frame()

# %%
better = "index" if found["index"] > found["number"] else "number"
apart = abs(found["index"] - found["number"]) >= 0.02
print(guess.compare(better if apart else "no difference"))

# %%
plots.distance_scatter(*compare.pair_distances(index, data, data.test, seed=SEED))

# %% [markdown]
# ## Why
#
# net1 is trained on pairs. With `z` for its outputs and `y` for the outcomes, the loss of a pair is
#
# $$\bigl(\lVert z_i - z_j \rVert - \lVert y_i - y_j \rVert\bigr)^2 .$$
#
# Both rows of a pair go through the *same* net; that is what
# [*siamese*](../docs/glossary.md#siamese-net) means. The loss sees only distances, so the outputs
# may be turned or mirrored, and only how rows lie to each other counts.
#
# A code read as a number forces an order and even steps on the categories. For the hour of the day
# that is not far from the truth; for destinations it is the alphabet. A table has no order to
# unlearn: when two categories behave alike, gradient descent moves their rows together. The
# price is that the *code* is now only an address. Notebook 02 shows what that costs.

# %% [markdown]
# ## What the table learned
#
# Nobody told net1 where an airport is. Take the destinations with at least 2,000 flights, and for
# each one the nearest row of its table. (The time zones, in hours, are kept apart in `data.truth`;
# no net sees them. Destinations that the source does not place drop out.)

# %%
column = columns.index("dest")
counts = data.rows.codes[:, column].bincount()
zones = data.truth["dest"]["dest_tz"].loc[list(data.schema.categorical[column].labels)]
kept_codes = [k for k, zone in enumerate(zones) if counts[k] >= 2_000 and pd.notna(zone)]


# %%
def neighbours(net):
    """The nearest row of each destination's, in the table of a net, and their time zones."""
    table = net.embedding.tables[column].weight.detach()[kept_codes]
    distances = torch.cdist(table, table).fill_diagonal_(torch.inf)
    places = zones.iloc[kept_codes].to_frame("zone")
    places["nearest"] = places.index[distances.argmin(dim=1).numpy()]
    places["its zone"] = places["zone"].loc[places["nearest"]].to_numpy()
    return places


places = neighbours(index)
# %%
places.loc[["LAX", "SFO", "ORD", "BOS", "MIA", "DEN"]]

# %%
same_zone = (places["zone"] == places["its zone"]).mean()
shares = places["zone"].value_counts(normalize=True)
by_chance = ((shares * len(places) - 1) / (len(places) - 1) * shares).sum()
print(f"nearest row lies in the same time zone: {same_zone:.0%}; by chance: {by_chance:.0%}")

# %% [markdown]
# Time in the air is one of the outcomes, so places that are equally far move together: part of
# the map comes back, as a trace of distance. It makes a good story. Is it one about flights, or
# about this one net? The next cell trains another, from another seed, in all else the same. Will
# its airports have the same neighbours?

# %%
stay = predict(
    "01.b",
    "How many destinations keep their neighbour?",
    options=["more than half", "less than half"],
    reread="What the table learned",
)

# %%
other = RowEncoder(data.schema, D=8, seed=SEED + 100)
fit_encoder(other, data, steps=short(600), seed=SEED + 100).run("another seed")
places["another seed"] = neighbours(other)["nearest"]
same_one = (places["nearest"] == places["another seed"]).mean()
print(stay.compare(f"{'more' if same_one > 0.5 else 'less'} than half"), f"{same_one:.0%} keep it.")

# %%
places.loc[["LAX", "SFO", "ORD", "BOS", "MIA", "DEN"], ["nearest", "another seed"]]

# %% [markdown]
# So a story about a single neighbour may be about a seed. That near rows share a time zone more
# often than chance is not: notebook 06 shows how to tell the one from the other.

# %% [markdown]
# ## Turn the dial
#
# How wide must a table be? Change `D` below and run the cell again. Before you do: with `D = 1`,
# each category is one *learnt* number. Will that be nearer to *number* or to *index* above? All
# three are trained for the same number of steps.

# %%
D = 1
narrow = RowEncoder(data.schema, D=D, seed=SEED)
fit_encoder(narrow, data, **options).run(f"D = {D}")
one_number = compare.distance_correlation(narrow, data, data.test, seed=SEED)
print(f"D = {D}: {one_number:.3f}")

# %% [markdown]
# A single learnt number does nearly all that eight do. So it was not the width that made the code
# as a number worse: it was that the number was *given*, by the alphabet, and not learnt.

# %% [markdown]
# ## Exercises
#
# **1. A code is an address** (★, 5 minutes). Renumber the categories of one table: category *k*
# gets the code `order[k]`. Write `renumber(old, order)`: the table, of the shape of `old`, that
# returns the same embeddings for the *new* codes.
#
# <details><summary>Hint</summary>Row <code>order[k]</code> of the new table must be row
# <code>k</code> of the old one. Assigning by index does it.</details>


# %%
def renumber(old, order):
    ### BEGIN SOLUTION
    # Row k moves to the place order[k]. (old[order] would be the way back.)
    new = torch.empty_like(old)
    new[order] = old
    return new
    ### END SOLUTION


check("01.1", renumber)

# %% [markdown]
# **2. The loss of a siamese net** (★★, 10 minutes). Write `pair_loss(z_i, z_j, y_i, y_j)`: for the
# outputs (P, Z) and the outcomes (P, 3) of P pairs, the mean of the formula under *Why*. Then hand
# it a net that ignores the row: what is its loss?
#
# <details><summary>Hint 1</summary><code>(z_i - z_j).norm(dim=1)</code> is one distance a
# pair.</details>
# <details><summary>Hint 2</summary>The difference of the two distances is squared, not each of
# them.</details>


# %%
def pair_loss(z_i, z_j, y_i, y_j):
    ### BEGIN SOLUTION
    # One distance a pair behind net1, one between outcomes; their difference squared, then a mean.
    return ((z_i - z_j).norm(dim=1) - (y_i - y_j).norm(dim=1)).square().mean()
    ### END SOLUTION


if check("01.2", pair_loss):
    i, j = data.outcomes[data.test[:10_000]], data.outcomes[data.test[10_000:20_000]]
    print(f"a net that ignores the row: {pair_loss(0 * i, 0 * j, i, j):.2f}")

# %% [markdown]
# **3. A number that is learnt, and the clock** (★★, 10 minutes, open). For which column does
# reading the code as a number cost *least*? Choose one, write its name to `least`, and say why;
# then look at what `D = 1` has learnt for it: `narrow.embedding.tables[c].weight`, in the order of
# the codes.
#
# <details><summary>Hint</summary>A column whose codes lie in an order that matters to
# flights.</details>

# %%
least = None
### BEGIN SOLUTION
# The hour: its codes are in the order of the day, and delays grow as the day goes on.
least = "hour"
### END SOLUTION


if check("01.3", least, columns):
    learnt = narrow.embedding.tables[columns.index(least)].weight.detach()[:, 0]
    print(dict(enumerate(learnt.mul(100).round().int().tolist())))

# %% [markdown]
# ## Take-aways

# %%
claim(
    "A code read as an index beats a code read as a number.",
    found["index"] - found["number"],
    at_least=0.02,
)
claim(
    "net1's distances correlate with outcome distances on held-out pairs.",
    found["index"],
    at_least=0.45,
)
claim(
    "Near rows of the table share a time zone more often than chance.",
    same_zone - by_chance,
    at_least=0.05,
)
claim(
    "One learnt number does most of what eight do.",
    (one_number - found["number"]) / (found["index"] - found["number"]),
    at_least=0.5,
)
claim(
    "From another seed, a good part of the destinations have another neighbour.",
    1 - same_one,
    at_least=0.25,
)

# %% [markdown]
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [02 · One-hot is
# Linear](02_one_hot_is_linear.ipynb) asks what is lost when a code is only an address.

# %%
quiz("01")
