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
# # 03 · Does the best training loss give the best rows?
#
# **You will** freeze net1, train a second net (net0) to predict whole flights by a loss *behind*
# net1, and decode what it predicts into hard rows.
#
# **You learn** to tell the *relaxed* loss, which is trained, from the *decoded* loss, which
# counts; and that the first can mislead you badly about the second.
#
# **You need** notebooks 01 and 02. About 2 minutes of computing on two cores.
#
# **Where this stands.** 01 integer-index baseline → 02 one-hot is Linear → *03 net0 through net1* →
# 04 every estimator, one ruler → 05 what net1 learned → 06 as fast as a plain MLP → 07 your own net
# and table → 08 both at once.

# %%
import pandas as pd
import torch

from tabkit import (
    RowEncoder,
    compare,
    decode,
    estimators,
    fit_encoder,
    flights,
    freeze,
    plots,
    widgets,
)
from tabkit.lesson import check, claim, predict
from tabkit.nets import encode_rows

# %% [markdown]
# ## The question
#
# net1 knows which flights are alike. Now turn it round: here is a *signal* of a flight, its three
# outcomes and its 9 numbers (weather, plane). Which flight was it? net0 must output a whole row,
# categories included, and it learns from one thing alone: how far its row lies from the true one
# *behind net1*. It is never told the true categories.

# %%
data = flights()
net1 = RowEncoder(data.schema)
fit_encoder(net1, data, steps=600, checkpoint="runs/net1.pt").run("net1")
net1 = freeze(net1)

# %% [markdown]
# It is the net of notebook 01; if you have run that, it is taken up and not trained again. *Frozen*
# means that net1's weights stay as they are. Gradients still pass through it, to whatever
# produced its input. For scale: a row picked at random from the training flights lies this far
# from the true one, in squared distance behind net1.

# %%
random_row = compare.random_row_loss(net1, data, data.test)
print(f"a random row: {random_row:.2f}")

# %% [markdown]
# ## Three ways past the argmax
#
# net0 outputs logits, `(B, F)`. Notebook 02 found that an argmax lets no gradient through. So what
# goes into net1 during training?
#
# | name | net1 gets | the logits get |
# |---|---|---|
# | `hard_argmax` | the one-hot of the largest logit | **no gradient**; only net0's numbers learn |
# | `softmax` | the softmax: a *mixture* of categories | the exact gradient of the mixture's loss |
# | `straight_through_gumbel` | a one-hot *sampled* from softmax | the gradient of a noisy softmax |
#
# *Gumbel*: add random noise of a certain kind, named after Gumbel, to the logits; the argmax of the
# sum is then a sample from the softmax. *Straight-through*: forward, net1 gets that one-hot;
# backward, we pretend that it got the softmax of the same noisy logits, which has a gradient. So
# this gradient is not exact. *net0's numbers* are what it predicts for the 9 continuous columns;
# they reach net1 without an argmax.
#
# In the end all three are *decoded* alike: argmax in each column, a hard row, through net1 once
# more. The **relaxed** loss is the loss of what net1 gets in training; the **decoded** loss
# is the loss of the hard row. Someone who uses the row gets the decoded loss.
#
# Commit yourself: after 600 steps, which of the three has the *worst* decoded loss?

# %%
names = ["hard_argmax", "softmax", "straight_through_gumbel"]
guess = predict("Which one predicts the worst hard rows?", None, options=names)

# %% [markdown]
# ## The experiment
#
# Same net0, same batches, same 600 steps. Only the *estimator* changes, that is, the way from
# logits to a gradient: one line of the table above.

# %%
trained = {}
for name in names:
    trained[name] = compare.train_and_score(
        estimators.make(name), net1, data, name=name, steps=600, decode_rows=500
    )

# %%
results = compare.summary(compare.table(trained.values()))
results[["train_relaxed", "test_relaxed", "test_decoded", "gap"]].round(2)

# %% [markdown]
# Look at the first column, then at the third. The *gap* is decoded minus relaxed, on test flights.

# %%
print(guess.compare(results["test_decoded"].idxmax()))

# %%
plots.decoding_gap(results, random_row=random_row)

# %% [markdown]
# The softmax's training went best: no other got its loss as low. Its rows are the worst, here worse
# even than those of the net that got *no gradient at all* for its categories. (That net's rows
# depend much on the seed; that softmax's cost several times those of straight-through Gumbel does
# not.) And nothing in its training loss would have told you. Here is the gap as it opens:

# %%
plots.gap_opens({name: result.steps for name, result in trained.items()})

# %% [markdown]
# ## Why
#
# net1 was trained on rows that have *one* category in each column. A softmax offers it something
# else: a point *between* categories, a fifth of Boston and a third of Denver. net1 is a continuous
# function and returns some output there too, and net0 learns to steer it:
#
# $$\text{trained:}\; L\Big(\sum_k p_k W_k\Big) \qquad
# \text{used:}\; L\big(W_{\arg\max_k p_k}\big).$$
#
# The two agree only where $p$ is a corner of the simplex, and nothing in the left one asks for
# a corner. Sampling does: a straight-through Gumbel net hands net1 a real category each time, so a
# column that stays undecided pays for the spread of its own samples. How decided are they? We
# look at the largest share in each column on the test flights.


# %%
@torch.no_grad()
def largest_shares(net0):
    logits = net0(data.signal[data.test]).categorical
    blocks = logits.split(data.schema.cardinalities, dim=1)
    return [block.softmax(dim=1).max(dim=1).values.mean().item() for block in blocks]


# %%
columns = [column.name for column in data.schema.categorical]
decided = pd.DataFrame({n: largest_shares(t.net0) for n, t in trained.items()}, index=columns)
decided[["softmax", "straight_through_gumbel"]].round(2).T

# %% [markdown]
# A share of 1 is a decision. Decoding a column takes what has the largest share and throws the rest
# of the mixture away. Over all columns:

# %%
sampled = trained["straight_through_gumbel"]
undecided = decided.mean()
undecided[["softmax", "straight_through_gumbel"]].round(2).to_frame("mean largest share")

# %% [markdown]
# ## What a row looks like
#
# One test flight, and what two of the nets make of it. Do not look for the true categories: net0
# was trained to land *where net1 puts the flight*, and other rows can land there too. Under the
# table, how far behind net1 each row lies from the true one.

# %%
one = data.test[:1]
signal = data.signal[one]
rows = {"true": data.rows[one], **{n: decode(trained[n].net0, signal, net1) for n in names[1:]}}
pd.concat([data.schema.decode(row).T[0].rename(n) for n, row in rows.items()], axis=1).head(11)

# %%
places = {name: encode_rows(net1, row) for name, row in rows.items()}
{name: round((z - places["true"]).pow(2).sum().item(), 2) for name, z in places.items()}

# %% [markdown]
# ## Turn the dial
#
# A smaller temperature pushes the softmax towards the corners. Is that the cure? Before you run the
# cell: will the gap close at `tau = 0.25`? Will the decoded loss reach that of straight-through
# Gumbel?

# %%
tau = 0.25
cold = compare.train_and_score(
    estimators.make("softmax", tau=tau), net1, data, name=f"softmax, tau = {tau}", steps=600
)
print(f"relaxed {cold.test.relaxed:.2f}, decoded {cold.test.decoded:.2f}, gap {cold.test.gap:.2f}")

# %% [markdown]
# It helps much, and it is no cure: a gap remains.
#
# The same dial by hand. The softmax of one flight's departure airport has three shares, so it is a
# point in a triangle; its corners are the airports. Turn `tau` and `relaxation`, change the `row`:
# which relaxations ever leave the corners? Where does the cloud of `gumbel_softmax` go when it gets
# cold? Below it the same in a picture that stands still.

# %%
simplex = widgets.simplex_explorer(trained["softmax"].net0, net1, data, column="origin")
simplex

# %%
simplex.twin()

# %% [markdown]
# And a row by hand: what net0 makes of each column, how far the decoded row lies from the true one,
# and what changes when you overrule one category. Which single one helps most? The picture below it
# has the largest shares of every column, and the table the best overruling of each.

# %%
by_hand = widgets.row_explorer(trained["softmax"].net0, net1, data)
by_hand

# %%
by_hand.twin()

# %% [markdown]
# Last, train while you watch: press *start*, see the gap open, and turn `tau` on the way. The
# picture shows such a run, left alone.

# %%
cockpit = widgets.training_cockpit(net1, data, estimator="softmax", steps=300)
cockpit

# %%
cockpit.twin()

# %% [markdown]
# ## Was it the mixture's fault?
#
# One question is left. The softmax's mixtures lie where they should: their relaxed loss is the
# lowest. Only the row that the argmax makes of them does not. The argmax looks at shares and at
# nothing else. A *decoder* may also ask net1. Four others:
#
# | decoder | the row that it takes |
# |---|---|
# | `table` | in each column the category whose embedding is nearest to the mixture's |
# | `first_layer` | the same, with distances as net1's first layer sees them |
# | `search` | one category is changed at a time, while that brings the row nearer behind net1 |
# | `restarts` | the best of ten searches; then net0's numbers move, too |
#
# (Nearer to the mixture's output; none of them knows the true flight.) And one more line, the
# **limit**: a net of net0's size that outputs net1's output itself, no row at all: about
# the least that a net0 can reach. Decoded by the search, where will the softmax's rows stand?

# %%
places = ["the worst still", "between the two others", "the best of all"]
second = predict("Decoded by search, the softmax's rows are", None, options=places)

# %%
ends = compare.ends_of(net1, data, rows=500, steps=600)
by_decoder = results.assign(**ends)
searched = by_decoder["decode_search"].drop("softmax")
print(second.compare(places[int((by_decoder["decode_search"]["softmax"] < searched).sum())]))
by_decoder.filter(regex="decode_(argmax|table|first_layer|search|restarts)").round(2)

# %%
plots.by_decoder(by_decoder)

# %% [markdown]
# The best of all, and near the limit. **The mixture was never at fault; the decoder was.** A search
# has its price, some two hundred evaluations of net1 a row; restarts take over ten times as many:

# %%
costs = by_decoder.loc["softmax"].filter(regex="^(evaluations|seconds)_")
costs.round(1).to_frame("a row's evaluations; seconds for 20,000 rows")

# %% [markdown]
# ## Exercises
#
# **1. Straight-through in one line** (★★, 10 minutes). Given a hard one-hot and a soft simplex,
# write a tensor whose *value* is `hard`, to the last bit, and whose *gradient* is that of `soft`.
# Set `value` to it.
#
# <details><summary>Hint 1</summary>A tensor minus its own <code>detach()</code> has the value 0,
# and a gradient.</details>
# <details><summary>Hint 2</summary>Mind the order of the sum: the value must be <code>hard</code>
# to the last bit.</details>

# %%
logits = torch.randn(64, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
soft = logits.softmax(dim=1)
hard = torch.nn.functional.one_hot(soft.argmax(dim=1), 5).float()
value = None
### BEGIN SOLUTION
value = hard + (soft - soft.detach())
### END SOLUTION


# %%
def is_straight_through(value):
    weights = torch.arange(5.0)
    (ours,) = torch.autograd.grad((value @ weights).sum(), logits, retain_graph=True)
    (soft_one,) = torch.autograd.grad((soft @ weights).sum(), logits, retain_graph=True)
    return torch.equal(value, hard) and torch.equal(ours, soft_one)


check(
    value, is_straight_through, hint="If only the last digits are off, change the order of the sum."
)

# %% [markdown]
# **2. Do true labels help?** (★, 5 minutes). `cross_entropy` trains net0's categories on the true
# ones; only its numbers learn through net1. Train it as above, and set `labelled` to what
# `compare.train_and_score` returns. Is its decoded loss lower than that of straight-through Gumbel?
#
# <details><summary>Hint</summary>Its name is <code>"cross_entropy"</code>; the call is the one in
# the loop above.</details>

# %%
labelled = None
### BEGIN SOLUTION
labelled = compare.train_and_score(
    estimators.make("cross_entropy"), net1, data, name="cross_entropy", steps=600
)
### END SOLUTION
check(labelled, lambda t: t.test.accuracy["carrier"] > 0.5, hint="Did you name cross_entropy?")
if labelled is not None:
    print(f"decoded: {labelled.test.decoded:.2f}; straight-through: {sampled.test.decoded:.2f}")

# %% [markdown]
# ## Take-aways

# %%
losses = results["test_decoded"]
claim(
    "Of the three, softmax has the best training loss.",
    results["train_relaxed"].idxmin() == "softmax",
)
claim(
    "By argmax, its rows cost at least twice those of straight-through Gumbel.",
    bool(losses["softmax"] > 2 * losses["straight_through_gumbel"]),
)
claim(
    "By argmax, straight-through Gumbel predicts the best rows, with next to no gap.",
    losses.idxmin() == "straight_through_gumbel" and abs(sampled.test.gap) < 0.1,
)

# %%
claim(
    "Its columns are more decided than the softmax's.",
    bool(undecided["straight_through_gumbel"] > undecided["softmax"] + 0.1),
)
claim(
    "By search, the softmax's rows are the best of all, within a tenth of the limit.",
    by_decoder["decode_search"].idxmin() == "softmax"
    and by_decoder["decode_search"]["softmax"] < by_decoder.filter(like="decode_a").min().min()
    and by_decoder["decode_search"]["softmax"] < 1.1 * ends["limit"],
)

# %% [markdown]
# So report the decoded loss, always, and say by which decoder. `make run` does all this with seven
# estimators and the labels for comparison, by every decoder, and prints the tables.
#
# **Next:** [04 · Every estimator, one ruler](04_every_estimator_one_ruler.ipynb) measures which
# estimator to choose, at what temperature, and how far off their gradients are.
