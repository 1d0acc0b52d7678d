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
# **You will** freeze net1, write the loop that trains a second net (net0) to predict whole flights
# by a loss *behind* net1, make the noise and the trick of straight-through Gumbel by hand, and
# decode what the nets predict into hard rows.
#
# **You learn** to tell the *relaxed* loss, which is trained, from the *decoded* loss, which
# counts; and that the first can mislead you badly about the second.
#
# **You need** notebooks 01 and 02. About 2 minutes of computing on two cores.
#
# **Where this stands.** [[course]]

# %%
import pandas as pd
import torch

import tabkit
from tabkit import compare, estimators, plots, simplex, widgets
from tabkit.lesson import SEED, check, claim, kept, predict, quiz, short
from tabkit.nets import encode_rows

# %% [markdown]
# ## The question
#
# net1 knows which flights are alike. Now turn it round: here is a *signal* of a flight, its three
# outcomes and its 9 numbers (weather, plane). Which flight was it? net0 must output a whole row,
# categories included, and it learns from one thing alone: how far its row lies from the true one
# *behind net1*. It is never told the true categories.

# %%
data = tabkit.flights(seed=SEED)
K = data.schema.cardinalities
net1 = tabkit.RowEncoder(data.schema, seed=SEED)
tabkit.fit_encoder(net1, data, steps=short(600), seed=SEED, checkpoint=kept("net1")).run("net1")
net1 = tabkit.freeze(net1)
random_row = compare.random_row_loss(net1, data, data.test, seed=SEED)
print(f"a row at random: {random_row:.2f}")

# %% [markdown]
# net1 is the net of notebook 01; if you have run that, it is taken up and not trained again.
# *Frozen* means that its weights stay as they are. Gradients still pass through it, to whatever
# produced its input. For scale: a row picked at random from the training flights lies so far from
# the true one, in squared distance behind net1.
#
# ## The loop
#
# net0, a `RowPredictor`, is a plain MLP. From a signal it makes *logits* (B, F), one number for
# each category of each column, and the 9 *numbers* of the row. Notebook 02 found that an argmax
# lets no gradient through, so something else must make of the logits what net1 gets; let us call it
# `relax`. All the rest is the loop that you know; `encode_rows(net1, rows)` is what net1 outputs
# for the true rows, the target. (net0 is told net1 only for its shape: which columns, how many
# categories.) The first thing to put in is the softmax of each column, the mixture that notebook 02
# ended with.


# %%
def train(relax, steps):
    net0 = tabkit.RowPredictor(data.signal.shape[1], net1, seed=SEED)
    optimizer = torch.optim.Adam(net0.parameters(), lr=3e-3)
    draw, losses = torch.Generator().manual_seed(SEED), []
    for _ in range(steps):
        some = data.train[torch.randint(len(data.train), (512,), generator=draw)]
        logits, numbers = net0(data.signal[some])
        difference = net1(relax(logits, draw), numbers) - encode_rows(net1, data.rows[some])
        loss = difference.square().sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return net0, losses


# %%
by_hand, losses = train(lambda logits, draw: simplex.softmax(logits, K), short(200))
print(f"the loss fell from {losses[0]:.2f} to {sum(losses[-10:]) / 10:.2f}")

# %% [markdown]
# ## Gumbel, by hand
#
# A mixture is no row. Can net1 get a *row* in training, and the logits a gradient all the same? In
# two steps. **First, a random category.** Draw for each category a number
# $g = -\log(-\log u)$, with $u$ uniform between 0 and 1, and add it to its logit. The category that
# is largest then is a sample from the softmax (Gumbel's trick). One column, 100,000 draws:

# %%
one = torch.tensor([1.0, 2.0, 0.0])
u = torch.rand(100_000, 3, generator=torch.Generator().manual_seed(SEED))
gumbel = -torch.log(-torch.log(u))
drawn = (one + gumbel).argmax(dim=1).bincount(minlength=3) / 100_000
pd.DataFrame({"softmax": one.softmax(dim=0), "how often the largest": drawn}).T.round(3)

# %% [markdown]
# (Exercise 1 is about this noise.) The argmax is still an argmax, without a gradient. But the
# *softmax* of the noisy logits, over a temperature $\tau$, has one, and comes near to the sample as
# $\tau$ falls. That is **Gumbel-softmax** (Jang et al., arXiv:1611.01144; Maddison et al.,
# arXiv:1611.00712), a noisy mixture:

# %%
noisy = one + gumbel[:4]
softer = {f"tau = {tau}": (noisy[0] / tau).softmax(dim=0) for tau in (2.0, 1.0, 0.1)}
pd.DataFrame(softer).T.round(3)

# %% [markdown]
# **Second, straight-through** (Bengio et al., arXiv:1308.3432). *Forward*, net1 gets the sampled
# one-hot. *Backward*, we pretend that it got the noisy mixture, which has a gradient. `detach` does
# both at once: the bracket below is 0, and has the gradient of `soft`.

# %%
leaf = one.repeat(4, 1).requires_grad_()
soft = (leaf + gumbel[:4]).softmax(dim=1)
hard = torch.nn.functional.one_hot(soft.argmax(dim=1), 3).float()
value = hard + (soft - soft.detach())
value.detach(), value.requires_grad

# %% [markdown]
# ## Three ways past the argmax
#
# | name | net1 gets | the logits get |
# |---|---|---|
# | `hard_argmax` | the one-hot of the largest logit | **no gradient**; only net0's numbers learn |
# | `softmax` | the softmax: a *mixture* of categories | the exact gradient of the mixture's loss |
# | `straight_through_gumbel` | a one-hot *sampled* from softmax | the gradient of a noisy softmax |
#
# In the end all three are *decoded* alike: argmax in each column, a hard row, through net1 once
# more. The [**relaxed**](../docs/glossary.md#relaxed-loss) loss is the loss of what net1 gets in
# training; the [**decoded**](../docs/glossary.md#decoded-loss) loss is the loss of the hard row.
# Someone who uses the row gets the decoded loss.
#
# Commit yourself: after 600 steps, which of the last two has the *worst* decoded loss?

# %%
names = ["hard_argmax", "softmax", "straight_through_gumbel"]
guess = predict("03.a", "Which one predicts the worst hard rows?", options=names[1:])

# %% [markdown]
# ## The experiment
#
# `compare.train_and_score` is the loop from above with a learning rate that rises and falls and a
# progress bar, and scores what it has trained. Same net0, same batches, same 600 steps; only the
# *estimator* changes, that is, the way from logits to a gradient: one line of the table.

# %%
trained = {}
for name in names:
    estimator = estimators.make(name)
    trained[name] = compare.train_and_score(
        estimator, net1, data, name=name, steps=short(600), seed=SEED
    )
results = compare.summary(compare.table(trained.values()))
results[["train_relaxed", "test_relaxed", "test_decoded", "gap"]].round(2)

# %% [markdown]
# Look at the first column, then at the third. The *gap* is decoded minus relaxed, on test flights.

# %%
print(guess.compare(results.loc[names[1:], "test_decoded"].idxmax()))
plots.decoding_gap(results, random_row=random_row)

# %% [markdown]
# The softmax's training went best: no other got its loss as low. Its rows cost several times those
# of straight-through Gumbel, and nothing in its training loss would have told you. (How they stand
# beside those of `hard_argmax`, which had no gradient at all for its categories, hangs on the seed:
# often they are worse even than these.) Here is the gap as it opens:

# %%
plots.gap_opens({name: result.steps for name, result in trained.items()})

# %% [markdown]
# ## Why
#
# net1 was trained on rows that have *one* category in each column. A softmax offers it something
# else: a point *between* categories, a fifth of Boston and a third of Denver. net1 is a continuous
# function and returns some output there too, and net0 learns to steer it:
#
# $$\text{trained:}\; L\Bigl(\sum_k p_k W_k\Bigr) \qquad
# \text{used:}\; L\bigl(W_{\arg\max_k p_k}\bigr).$$
#
# The two agree only where $p$ is a corner of the simplex, and nothing in the left one asks for
# a corner. Sampling does: a straight-through Gumbel net hands net1 a real category each time, so a
# column that stays undecided pays for the spread of its own samples. How decided are they? We
# look at the mean of the largest share, over columns and test flights:


# %%
@torch.no_grad()
def largest_share(net0):
    logits = net0(data.signal[data.test]).categorical
    return torch.stack([b.softmax(1).amax(1).mean() for b in logits.split(K, dim=1)]).mean().item()


undecided = pd.Series({name: largest_share(trained[name].net0) for name in names[1:]})
undecided.round(2).to_frame("mean largest share")

# %% [markdown]
# A share of 1 is a decision. Decoding a column takes what has the largest share and throws the rest
# of the mixture away.
#
# ## What a row looks like
#
# One test flight, and what two of the nets make of it. Do not look for the true categories: net0
# was trained to land *where net1 puts the flight*, and other rows can land there too (notebook 07
# asks whether they could be real flights). The last line: how far behind net1 each lies from the
# true one.

# %%
first = data.test[:1]
rows = {n: tabkit.decode(trained[n].net0, data.signal[first], net1) for n in names[1:]}
rows = {"true": data.rows[first], **rows}
places = {name: encode_rows(net1, row) for name, row in rows.items()}
side = pd.concat([data.schema.decode(row).T[0].rename(n) for n, row in rows.items()], axis=1)
side.loc["loss"] = {
    n: round((z - places["true"]).square().sum().item(), 2) for n, z in places.items()
}
side.iloc[[*range(11), -1]]

# %% [markdown]
# ## Turn the dial
#
# A smaller temperature pushes the softmax towards the corners. Is that the cure? Before you run the
# cell: will the gap close at `tau = 0.25`? Will the decoded loss reach that of straight-through
# Gumbel?

# %%
tau = 0.25
cold = compare.train_and_score(
    estimators.make("softmax", tau=tau), net1, data, name=f"tau {tau}", steps=short(600), seed=SEED
)
print(f"relaxed {cold.test.relaxed:.2f}, decoded {cold.test.decoded:.2f}, gap {cold.test.gap:.2f}")

# %% [markdown]
# It helps much, and it is no cure: a gap remains, and straight-through's rows stay better.
#
# The same dial by hand. The softmax of one flight's departure airport has three shares, so it is a
# point in a triangle; its corners are the airports. Turn `tau` and `relaxation`, change the `row`:
# which relaxations ever leave the corners? Where does the cloud of `gumbel_softmax` go when it gets
# cold? (*They leave them that hand over mixtures: softmax, Gumbel-softmax, the sparse ones. Cold,
# the cloud of Gumbel-softmax parts and goes into the corners, as often as the softmax says.*)

# %%
net0 = trained["softmax"].net0
triangle = widgets.simplex_explorer(net0, net1, data, column="origin")
triangle

# %% [markdown]
# Last, train while you watch: press *start*, see the gap open, and turn `tau` on the way. (On a
# page without a kernel you see such a run, left alone.)

# %%
cockpit = widgets.training_cockpit(net1, data, estimator="softmax", steps=short(300))
cockpit

# %% [markdown]
# ## Exercises
#
# **1. The noise** (★, 5 minutes). Write `gumbel_noise(shape, generator)`: Gumbel noise of that
# shape, from uniform numbers. The check adds it to logits, and counts how often each is the
# largest.
#
# <details><summary>Hint 1</summary><code>torch.rand(shape, generator=generator)</code>.</details>
# <details><summary>Hint 2</summary>Two logarithms and two minus signs.</details>


# %%
def gumbel_noise(shape, generator):
    ### BEGIN SOLUTION
    # The inverse of Gumbel's distribution function exp(-exp(-g)), at uniform numbers.
    u = torch.rand(shape, generator=generator)
    return -torch.log(-torch.log(u))
    ### END SOLUTION


check("03.1", gumbel_noise)

# %% [markdown]
# **2. Gumbel-softmax** (★, 5 minutes). Write `gumbel_softmax(logits, noise, tau)` for one column:
# logits and noise are (B, K), and so is what it returns.
#
# <details><summary>Hint</summary>The temperature divides the noisy logits, noise
# included.</details>


# %%
def gumbel_softmax(logits, noise, tau):
    ### BEGIN SOLUTION
    # Noise first, then the temperature: whatever tau is, the largest is the same sample.
    return ((logits + noise) / tau).softmax(dim=1)
    ### END SOLUTION


check("03.2", gumbel_softmax)

# %% [markdown]
# **3. Straight-through in one line** (★★, 10 minutes). Write `straight_through(hard, soft)`: a
# tensor whose *value* is `hard`, to the last bit, and whose *gradient* is that of `soft`.
#
# <details><summary>Hint 1</summary>A tensor minus its own <code>detach()</code> has the value 0,
# and a gradient.</details>
# <details><summary>Hint 2</summary>Mind the order of the sum: the value must be <code>hard</code>
# to the last bit.</details>


# %%
def straight_through(hard, soft):
    ### BEGIN SOLUTION
    # The bracket is exactly 0, so nothing is rounded; its gradient is that of soft.
    return hard + (soft - soft.detach())
    ### END SOLUTION


check("03.3", straight_through)

# %% [markdown]
# **4. Do true labels help?** (★★, 5 minutes, open). `cross_entropy` trains net0's categories on the
# true ones; only its numbers learn through net1. Train it as above, and set `labelled` to what
# `compare.train_and_score` returns. Is its decoded loss lower than that of straight-through Gumbel?
#
# <details><summary>Hint</summary>Its name is <code>"cross_entropy"</code>; the call is the one in
# the experiment.</details>

# %%
labelled = None
### BEGIN SOLUTION
# More of its categories are the true ones; but the loss behind net1 is not what it was trained on.
labelled = compare.train_and_score(
    estimators.make("cross_entropy"), net1, data, name="cross_entropy", steps=short(600), seed=SEED
)
### END SOLUTION


if check("03.4", labelled, trained["straight_through_gumbel"]):
    sampled = trained["straight_through_gumbel"].test.decoded
    print(f"decoded: {labelled.test.decoded:.2f}; straight-through: {sampled:.2f}")

# %% [markdown]
# ## Take-aways

# %%
decoded, relaxed = results["test_decoded"], results["train_relaxed"]
claim(
    "Of the three, softmax has the best training loss: over the next best",
    relaxed["softmax"] / relaxed.drop("softmax").min(),
    at_most=1.0,
)
claim(
    "By argmax, its rows cost several times those of straight-through Gumbel.",
    decoded["softmax"] / decoded["straight_through_gumbel"],
    at_least=2,
)

# %%
claim(
    "Straight-through Gumbel has next to no gap, in its own loss.",
    abs(results["gap"]["straight_through_gumbel"]) / decoded["straight_through_gumbel"],
    at_most=0.2,
)
claim(
    "Its columns are more decided than the softmax's.",
    undecided["straight_through_gumbel"] - undecided["softmax"],
    at_least=0.1,
)
claim(
    "A cold softmax has a smaller gap than the warm one, and one of its own.",
    cold.test.gap / results["gap"]["softmax"],
    at_least=0.01,
    at_most=1.0,
)
claim(
    "Its rows still cost more than those of straight-through Gumbel.",
    cold.test.decoded / decoded["straight_through_gumbel"],
    at_least=1.0,
)

# %% [markdown]
# So report the decoded loss, always, and say by which decoder: here it was the argmax, every time.
# That is not the only one.
#
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [04 · Decoders and the
# limit](04_decoders_and_the_limit.ipynb) asks whose fault the bad rows were.

# %%
quiz("03")
