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
# **Where this stands.** *01 integer-index baseline* → 02 one-hot is Linear → 03 net0 through net1 →
# 04 every estimator, one ruler → 05 what net1 learned → 06 as fast as a plain MLP → 07 your own net
# and table → 08 both at once. Everything later stands on the net that you train here.

# %%
import pandas as pd
import torch

from tabkit import RowEncoder, compare, fit_encoder, flights, plots
from tabkit.lesson import check, claim, predict

# %% [markdown]
# ## The question
#
# A table has columns such as *destination* or *airline*. A net wants numbers, so each category
# gets an integer code: ABQ is 0, ACK is 1, ALB is 2. Here are three flights out of New York in
# 2013, first as a person reads them, then as the net gets them.

# %%
data = flights()
data.frame(data.test[:3]).round(2).T

# %%
data.rows.codes[data.test[:3]]

# %% [markdown]
# `data.schema` holds the translation, in both directions. **C** = 11 columns are categorical;
# column *c* has **K** categories, its *cardinality*. The **N** = 9 numbers of a row (temperature,
# seats, ...) are put in standard deviations.

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
untrained = RowEncoder(data.schema)
plots.distance_scatter(*compare.pair_distances(untrained, data, data.test))

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
# Commit yourself before you run on: put `"number"`, `"index"` or `"no difference"` (less than .02)
# in place of `None`.

# %%
guess = predict(
    "Which way of reading a code gives the better net1?",
    None,
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
number = RowEncoder(data.schema, D=1)
read_codes_as_numbers(number)
index = RowEncoder(data.schema, D=8)

# %% [markdown]
# `fit_encoder` is a generator: it yields one record a step, and whoever drives it may stop, plot
# or save. `run` drives it to the end under a progress bar. The second net is kept in `runs`, where
# notebook 03 takes it up.

# %%
fit_encoder(number, data, steps=600).run("number")
steps = fit_encoder(index, data, steps=600, checkpoint="runs/net1.pt").run("index")

# %%
plots.loss_curve(steps, title="net1 (index): mean squared error of distances")

# %%
nets = {"untrained": untrained, "number": number, "index": index}
found = {name: compare.distance_correlation(net, data, data.test) for name, net in nets.items()}
pd.Series(found, name="correlation on test pairs").round(3).to_frame()

# %%
better = "index" if found["index"] > found["number"] else "number"
apart = abs(found["index"] - found["number"]) >= 0.02
print(guess.compare(better if apart else "no difference"))

# %%
plots.distance_scatter(*compare.pair_distances(index, data, data.test))

# %% [markdown]
# ## Why
#
# net1 is trained on pairs. With `z` for its outputs and `y` for the outcomes, the loss of a pair is
#
# $$\big(\lVert z_i - z_j \rVert - \lVert y_i - y_j \rVert\big)^2 .$$
#
# Both rows of a pair go through the *same* net; that is what *siamese* means. The loss sees only
# distances, so the outputs may be turned or mirrored, and only how rows lie to each other counts.
#
# A code read as a number forces an order and even steps on the categories. For the hour of the day
# that is not far from the truth; for destinations it is the alphabet. A table has no order to
# unlearn: when two categories behave alike, gradient descent moves their rows together. The
# price is that the *code* is now only an address. Notebook 02 shows what that costs.

# %% [markdown]
# ## What the table learned
#
# Nobody told net1 where an airport is. Take the destinations with at least 2,000 flights, and for
# each one the nearest row of its table. (The time zones are kept apart in `data.truth`; no net
# sees them. Destinations that the source does not place drop out.)

# %%
column = columns.index("dest")
counts = data.rows.codes[:, column].bincount()
zones = data.truth["dest"]["dest_tz"].loc[list(data.schema.categorical[column].labels)]
kept = [k for k, zone in enumerate(zones) if counts[k] >= 2_000 and pd.notna(zone)]

# %%
table = index.embedding.tables[column].weight.detach()[kept]
distances = torch.cdist(table, table).fill_diagonal_(torch.inf)
places = zones.iloc[kept].to_frame("zone")
places["nearest"] = places.index[distances.argmin(dim=1).numpy()]
places["its zone"] = places["zone"].loc[places["nearest"]].to_numpy()

# %%
places.loc[["LAX", "SFO", "ORD", "BOS", "MIA", "DEN"]]

# %%
same = (places["zone"] == places["its zone"]).mean()
shares = places["zone"].value_counts(normalize=True)
by_chance = ((shares * len(places) - 1) / (len(places) - 1) * shares).sum()
print(f"nearest row lies in the same time zone: {same:.0%}; by chance: {by_chance:.0%}")

# %% [markdown]
# Time in the air is one of the outcomes, so places that are equally far move together: part of
# the map comes back, as a trace of distance. A later notebook looks closer and tests what is
# structure and what is luck.

# %% [markdown]
# ## Turn the dial
#
# How wide must a table be? Change `D` below and run the cell again. Before you do: with `D = 1`,
# each category is one *learnt* number. Will that be nearer to *number* or to *index* above? All
# three are trained for the same number of steps.

# %%
D = 1
narrow = RowEncoder(data.schema, D=D)
fit_encoder(narrow, data, steps=600).run(f"D = {D}")
print(f"D = {D}: {compare.distance_correlation(narrow, data, data.test):.3f}")

# %% [markdown]
# ## Exercises
#
# **1. A code is an address** (★, 5 minutes). Renumber the categories of one table: give category
# *k* the code `order[k]`. Find the table that makes the layer return the same embeddings for the
# *new* codes. Set `renumbered` to that table, of the same shape as `old`.
#
# <details><summary>Hint</summary>Row <code>order[k]</code> of the new table must be row
# <code>k</code> of the old one. Assigning by index does it.</details>

# %%
old = index.embedding.tables[column].weight.detach()
order = torch.randperm(len(old), generator=torch.Generator().manual_seed(0))
renumbered = None
### BEGIN SOLUTION
renumbered = torch.empty_like(old)
renumbered[order] = old
### END SOLUTION
check(renumbered, lambda table: torch.equal(table[order], old), hint="Which row goes where?")

# %% [markdown]
# **2. A loss to beat** (★★, 10 minutes). A net that ignores the row, and returns the same
# output for every flight, has distance 0 for every pair. What is its loss on 100,000 random test
# pairs? Compare it with the end of the loss curve above. Set `constant_loss` to a number.
#
# <details><summary>Hint</summary><code>compare.pair_distances</code> returns two tensors: the
# distances behind net1 and those between outcomes. You need one of them.</details>

# %%
constant_loss = None
### BEGIN SOLUTION
_, between_outcomes = compare.pair_distances(index, data, data.test)
constant_loss = between_outcomes.pow(2).mean().item()
### END SOLUTION
truth = compare.pair_distances(index, data, data.test)[1].square().mean()
check(constant_loss, lambda x: abs(x - truth) < 0.3, hint="Which of the two tensors remains?")

# %% [markdown]
# ## Take-aways

# %%
claim("A code read as an index beats a code read as a number.", found["index"] > found["number"])
claim(
    "net1's distances correlate with outcome distances at .5 or more on held-out pairs.",
    found["index"] >= 0.5,
)
claim(
    "Near rows of the table share a time zone more often than chance.", bool(same > by_chance + 0.1)
)

# %% [markdown]
# **Next:** [02 · One-hot is Linear](02_one_hot_is_linear.ipynb) asks what is lost when a code is
# only an address.
