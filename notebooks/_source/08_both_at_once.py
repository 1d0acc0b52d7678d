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
# # 08 · Should both nets learn at once?
#
# **You will** train net1 first and net0 behind it, then both together, and let a third net judge.
#
# **You learn** what joint training buys, what it costs net1, and why its losses must be compared
# with care.
#
# **You need** notebook 03. About a minute of computing on two cores.
#
# **Where this stands.** 01 integer-index baseline → 02 one-hot is Linear → 03 net0 through net1 →
# 04 every estimator, one ruler → 05 what net1 learned → 06 as fast as a plain MLP → 07 your own
# net and table → *08 both at once*.

# %%
import pandas as pd

import tabkit
from tabkit import compare, decode, estimators, fit_encoder, fit_jointly, fit_predictor, widgets
from tabkit.lesson import check, claim, predict

# %% [markdown]
# ## The question
#
# So far net1 was trained first and frozen: it says where a row *belongs*, and net0 must find rows
# that land there. But if you train both yourself, why one after the other? Let both learn in each
# step: net1 by its own loss on pairs of true rows, net0 by the distance behind net1, and net1 by
# that distance *too*, times a weight. net1 may then move towards what net0 can do.
#
# The table is a small one: 8,645 hours of a bicycle hire, with month, weekday, hour and weather.
# net1 learns when hours are alike in the numbers of their riders; net0 sees the riders, and must
# predict the hour's row.

# %%
data = tabkit.bikeshare()
test = data.test
sizes = {"steps": 300, "batch": 1024}
estimator = estimators.make("straight_through_gumbel")
data.schema

# %% [markdown]
# First as before, net1 first:

# %%
net1 = tabkit.RowEncoder(data.schema)
fit_encoder(net1, data, **sizes).run("net1")
net1 = tabkit.freeze(net1)

# %%
net0 = tabkit.RowPredictor(data.signal.shape[1], net1)
_ = fit_predictor(net0, net1, data, estimator, **sizes).run("net0")

# %% [markdown]
# Then both together, from the same start, in as many steps. `weight` is that of net0's loss. The
# target, net1's output for the *true* row, is held fixed in each step: otherwise net1 could lower
# the distance by pulling all rows to one point.


# %%
def together(weight):
    """net0 and net1, trained in the same steps."""
    both = tabkit.RowEncoder(data.schema)
    other = tabkit.RowPredictor(data.signal.shape[1], both)
    fit_jointly(other, both, data, estimator, weight=weight, **sizes).run(f"weight {weight}")
    return other, tabkit.freeze(both)


# %% [markdown]
# Two things to look at: the loss of the decoded rows, and how well net1 still does its own job,
# the correlation of its distances with those of the riders. Which of the two will change most at a
# weight of 10?

# %%
options = ["the rows get better", "net1 gets worse at its job", "both", "neither"]
guess = predict("With net0's loss times 10, against net1 first:", None, options=options)

# %%
ways = {"net1 first": (net0, net1), "weight 1": together(1.0), "weight 10": together(10.0)}

# %% [markdown]
# A third net will help to judge: a net1 of another seed, trained alone, which has met none of the
# others.

# %%
judge = tabkit.RowEncoder(data.schema, seed=100)
fit_encoder(judge, data, **sizes, seed=100).run("judge")
judge = tabkit.freeze(judge)


# %%
def loss(net, rows):
    """The mean loss of predicted rows behind a net."""
    target = tabkit.nets.encode_rows(net, data.rows[test])
    return tabkit.SquaredDistance(net, rows.continuous, target)(rows.codes).mean().item()


def told(net0, net1):
    """What the rows cost behind their own net1 and behind the judge, and net1's correlation."""
    rows = decode(net0, data.signal[test], net1, estimator=estimator, decoder="argmax")
    own, judged = loss(net1, rows), loss(judge, rows)
    correlation = compare.distance_correlation(net1, data, test)
    return {"decoded": own, "judged": judged, "net1_correlation": correlation}


# %%
table = pd.DataFrame({name: told(*pair) for name, pair in ways.items()}).T
table.round(3)

# %%
better = table["decoded"]["weight 10"] < 0.95 * table["decoded"]["net1 first"]
worse = table["net1_correlation"]["weight 10"] < table["net1_correlation"]["net1 first"] - 0.02
found = {(True, False): 0, (False, True): 1, (True, True): 2, (False, False): 3}[better, worse]
print(guess.compare(options[found]))

# %% [markdown]
# At a weight of 1 the rows cost less behind their own net1, and net1 hardly pays. At 10 net1 does
# its own job worse: the weight is a bargain that ends somewhere.
#
# ## Why
#
# net0 did not only get better. net1 came to meet it: it moved the outputs of *the rows that net0
# predicts* to where they are wanted. The limit, a net that outputs net1's output itself, shows how
# much room there was behind each net1:

# %%
ends = {
    name: compare.ends_of(pair[1], data, rows=len(test), **sizes) for name, pair in ways.items()
}
table = table.join(pd.DataFrame(ends).T)
table["over the limit"] = table["decoded"] / table["limit"] - 1
table.round(3)

# %% [markdown]
# Behind the net1 that was trained first, an argmax row lies well above the limit; behind one that
# has learned along, near it. That is what joint training buys: what is lost by *decoding*. A
# search behind net1 buys the same, and needs no other net1.
#
# And the judge? It puts the loss of *all* these rows far higher than their own net1 does, whoever
# was trained first, and it does not see the gain: with other seeds its verdict scatters by more
# than the ways differ. Each net0 has learned what its own net1 takes for right, and another net1
# takes other rows for right. So a loss behind a net that learned along says less than it seems: it
# was bent towards what it measures. Compare with the limit behind the same net1, or let a judge
# look.
#
# ## Turn the dial
#
# Train net0 behind the net1 that has learned along, as if it had been given to you: start the
# cockpit, and compare with what notebook 03 showed for the flights. Does the gap still open for
# `softmax`? The picture is such a run, left alone.

# %%
cockpit = widgets.training_cockpit(
    ways["weight 1"][1], data, estimator="softmax", steps=200, batch=256
)
cockpit

# %%
cockpit.twin()

# %% [markdown]
# ## Exercises
#
# **1. A small weight** (★, 5 minutes). Train both with a weight of 0.1, and set `small` to what
# `told` says of them. Is there anything left of the gain?
#
# <details><summary>Hint</summary><code>together</code> returns the two nets in the order in which
# <code>told</code> takes them.</details>

# %%
small = None
### BEGIN SOLUTION
small = told(*together(0.1))
### END SOLUTION
check(small, lambda s: s["decoded"] < 0.2 and s["net1_correlation"] > 0.88, hint="told(*...)")
if small is not None:
    print({name: round(value, 3) for name, value in small.items()})

# %% [markdown]
# **2. The other way to the same end** (★★, 5 minutes). Decode the rows of a net0 that was trained
# through the plain softmax behind the *frozen* net1 by a search, and set `searched` to their loss
# behind that net1.
#
# <details><summary>Hint 1</summary>A new <code>RowPredictor</code>, trained as the first one was,
# with <code>estimators.make("softmax")</code>.</details>
# <details><summary>Hint 2</summary><code>decode(..., decoder="search")</code>.</details>

# %%
searched = None
### BEGIN SOLUTION
mixed = tabkit.RowPredictor(data.signal.shape[1], net1)
fit_predictor(mixed, net1, data, estimators.make("softmax"), **sizes).run("softmax")
searched = loss(net1, decode(mixed, data.signal[test], net1, decoder="search"))
### END SOLUTION
check(searched, lambda s: s < table["decoded"]["net1 first"], hint="The softmax's, by search.")
if searched is not None:
    print(f"{searched / table['limit']['net1 first'] - 1:+.0%} over the limit")

# %% [markdown]
# ## Take-aways

# %%
first, one, ten = (table.loc[name] for name in ways)
claim(
    "Trained together at a weight of 1, argmax rows cost less behind their own net1.",
    one["decoded"] < 0.9 * first["decoded"],
)
claim(
    "At 1, net1 does its job nearly as well as alone; at 10 it does not.",
    one["net1_correlation"] > first["net1_correlation"] - 0.03 > ten["net1_correlation"],
)
claim(
    "What is gained is what argmax rows lose to the limit.",
    one["over the limit"] < 0.5 * first["over the limit"],
)
claim(
    "Another net1 puts the loss of all these rows higher than their own does.",
    bool((table["judged"] > 1.2 * table["decoded"]).all()),
)

# %% [markdown]
# So: if net1 is given, leave it alone, and search. If you train both anyway and must decode by
# argmax, together at a weight of about 1 they suit each other better; look at what net1 pays, and
# do not take a loss behind one net1 for a loss behind another. `python benchmarks/joint.py` has
# more seeds.
#
# **Where to go from here.** That was the course: codes, simplexes, a loss behind net1, estimators,
# what net1 learned, the bill, your own net, and both at once. The pages in `docs` go on where it
# stops: [your own net](../docs/your_own_net.md), [table](../docs/your_own_table.md) and
# [loss](../docs/your_own_loss.md).
