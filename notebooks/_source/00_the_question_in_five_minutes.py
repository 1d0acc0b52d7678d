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
# # 00 · How can a net learn to predict a category behind another net?
#
# **You will** play the whole game of this course once, on a small table, and meet its two
# surprises.
#
# **You learn** which question people ask, why the obvious answer looks best and is worst, and
# where each part is explained.
#
# **You need** a little PyTorch. About 1 minute of computing on two cores.
#
# **Run** cell after cell, by Shift+Enter. Where you are asked, answer *before* you run on. (`SEED`
# is 0 and `short(300)` is 300, unless a teacher wants another seed or a quick run.)
#
# **Where this stands.** [[course]]

# %%
import pandas as pd
import torch

import tabkit
from tabkit import RowEncoder, compare, estimators, fit_encoder, freeze, plots
from tabkit.lesson import SEED, check, claim, predict, quiz, short

# %% [markdown]
# ## The question
#
# Again and again somebody asks in the PyTorch forum: *I have trained a net on a table. Its
# categorical columns are integer codes, each read through* `nn.Embedding`. *Now a second net shall
# predict such rows, trained by a loss behind the first one. But an integer has no gradient. What
# do I do?* The answers are a softmax, an argmax, Gumbel noise, "straight-through", nearest
# neighbours. Nobody measured. We shall.
#
# Our table has 8,645 hours of a bicycle hire. Seven columns are categorical:

# %%
data = tabkit.bikeshare(seed=SEED)
data.frame(data.test[:4])

# %% [markdown]
# **net1** is the trained net. It reads an hour and turns it into 8 numbers, so that two hours lie
# near each other if they were alike in their riders (which it does not see). It is trained once,
# then [*frozen*](../docs/glossary.md#frozen):

# %%
net1 = RowEncoder(data.schema, seed=SEED)
fit_encoder(net1, data, steps=short(300), batch=1024, seed=SEED).run("net1")
net1 = freeze(net1)

# %% [markdown]
# **net0** is the second net. It sees the riders and the weather, and must say which hour it was: a
# whole row, weekday and hour included. Its loss is the squared distance, *behind net1*, between
# its row and the true one. It is never told the true categories.
#
# For each column net0 outputs one number a category, its *logits*. A row needs a category:

# %%
logits = torch.tensor([1.0, 2.0, 0.5], requires_grad=True)
code = logits.argmax()
code.requires_grad, logits.softmax(dim=0).requires_grad

# %% [markdown]
# There the gradient ends, and here are three ways to go on:
#
# | name | what net1 gets while net0 trains |
# |---|---|
# | `hard_argmax` | the category with the largest logit; no gradient reaches the logits |
# | `softmax` | a *mixture* of all categories, by their probabilities |
# | `straight_through_gumbel` | a category drawn at random; the gradient pretends it was a mixture |
#
# In the end each hands over a real row: in every column the category with the largest logit.
# Which of the last two will have the *worst* rows?

# %%
names = ["hard_argmax", "softmax", "straight_through_gumbel"]
guess = predict("00.a", "Which one hands over the worst rows?", options=names[1:])

# %% [markdown]
# ## The experiment
#
# The same net0, the same rows, as many steps; only what net1 gets differs.

# %%
options = {"steps": short(300), "seed": SEED, "decode_rows": 400, "decoders": ["argmax", "search"]}
trained = {
    name: compare.train_and_score(estimators.make(name), net1, data, name=name, **options)
    for name in names
}

# %%
results = compare.table(trained.values()).set_index("estimator")
shown = {"train_relaxed": "loss in training", "decode_argmax": "loss of its rows"}
results[list(shown)].rename(columns=shown).round(2)

# %%
print(guess.compare(results.loc[names[1:], "decode_argmax"].idxmax()))
plots.gap_opens({name: found.steps for name, found in trained.items()})

# %% [markdown]
# **The first surprise.** The softmax has the best loss in training. Its rows, the orange line, are
# several times as bad as those of straight-through Gumbel, and nothing in its training loss says
# so: net0 learned to please net1 with mixtures, and a row is no mixture.
#
# ## Whose fault was it?
#
# The usual conclusion is: do not train through a softmax. But what made the row was the *argmax*.
# Another way, a **search**: start from some row, change one category at a time to whatever brings
# net1's output nearer to its output for the *mixture*, until nothing helps. It needs net1, and
# does not know the true row.
#
# One more figure, for scale. The [**limit**](../docs/glossary.md#limit) is a net of net0's size
# that need not make a row at all and outputs net1's output itself: about the best that any net0 can
# hope for.

# %%
ways = ["worse than straight-through's", "about as good", "better than all others"]
second = predict("00.b", "Decoded by search, the softmax's rows are", options=ways)

# %%
ends = compare.ends_of(net1, data, rows=400, steps=short(300), seed=SEED)
shown = {"decode_argmax": "by argmax", "decode_search": "by search"}
by_decoder = results[list(shown)].rename(columns=shown)
over = by_decoder / ends["limit"] - 1
print(f"the limit: {ends['limit']:.2f}; a row at random: {ends['random_row']:.2f}")
by_decoder.round(2)

# %%
others = over.drop("softmax").min(axis=None)
apart = over.loc["softmax", "by search"] - others
print(second.compare(ways[2] if apart < -0.05 else ways[0] if apart > 0.05 else ways[1]))

# %% [markdown]
# **The second surprise.** The same softmax, decoded by search, has the best rows of all, near the
# limit. The mixture was never at fault.
#
# ## Why
#
# What was trained is a mixture, with shares $p_k$ and embeddings $W_k$; what was used is a row:
#
# $$\text{trained:}\; L\Bigl(\sum_k p_k W_k\Bigr) \qquad
# \text{used:}\; L\bigl(W_{\arg\max_k p_k}\bigr).$$
#
# Nothing in the left one asks for a row. But its minimum says where the row should lie behind net1,
# and a search finds a row there. A sample, as straight-through Gumbel takes it, *is* a row; the
# price is a gradient that is not exact. The rest of the course takes all this apart:
#
# | you ask | notebook |
# |---|---|
# | what is a code to net1? why has it no gradient? | 01, 02 |
# | how does each way work, from a loop by hand? | 03 |
# | which decoder, at what price? | 04 |
# | which estimator, which temperature? is its gradient right? | 05 |
# | what does net1 know of its categories? | 06 |
# | do the rows look like real ones? | 07 |
# | is it slow, with many columns? | 08 |
# | and which way is best for *my* net and table? | 09 |

# %% [markdown]
# ## Turn the dial
#
# Another seed splits the table anew, starts both nets elsewhere and draws other rows. Set it, run
# both cells: are the two surprises still there?

# %%
seed = SEED + 1
again = tabkit.bikeshare(seed=seed)
other = RowEncoder(again.schema, seed=seed)
steps = fit_encoder(other, again, steps=short(300), batch=1024, seed=seed).run("another net1")

# %%
moved = compare.train_and_score(
    estimators.make("softmax"), freeze(other), again, name="softmax", **options | {"seed": seed}
)
pd.Series(moved.decoders)[list(shown)].rename(shown).round(2)

# %% [markdown]
# ## Exercises
#
# Fill in what is missing and run the cell: it says how your answer stands. A solution, with words,
# lies in `solutions/`.
#
# **1. Can we not just try them all?** (★, 3 minutes). How many different rows do columns of these
# cardinalities allow? Write `combinations`, which takes the list of cardinalities.
#
# <details><summary>Hint</summary>Two columns of 3 and 4 categories allow 12 rows. There is
# <code>math.prod</code>.</details>


# %%
def combinations(cardinalities):
    ### BEGIN SOLUTION
    # Each column is chosen independently of the others, so the numbers of choices multiply.
    return torch.tensor(cardinalities).prod().item()
    ### END SOLUTION


check("00.1", combinations)

# %% [markdown]
# **2. A row from logits** (★★, 10 minutes). The logits of all columns stand side by side, (B, F):
# of two columns with 3 and 2 categories the first three belong to the one, the last two to the
# other. Write `row_of`, which returns the codes (B, C): in each column the category with the
# largest logit, counted from 0 *in that column*.
#
# <details><summary>Hint 1</summary><code>logits.split(cardinalities, dim=1)</code> cuts them into
# blocks.</details>
# <details><summary>Hint 2</summary>An argmax for each block, then
# <code>torch.stack(..., dim=1)</code>.</details>


# %%
def row_of(logits, cardinalities):
    ### BEGIN SOLUTION
    # Each block has its own argmax; counted within the block, it is the category's code.
    blocks = logits.split(cardinalities, dim=1)
    return torch.stack([block.argmax(dim=1) for block in blocks], dim=1)
    ### END SOLUTION


check("00.2", row_of)

# %% [markdown]
# **3. Your own candidate** (★★, 10 minutes, open). `estimators.names()` lists all ways of this
# kit. Choose one that is not in the table above, train it as those were, and set `mine` to what
# `compare.train_and_score` returns. Is its argmax better than straight-through's? Its search?
#
# <details><summary>Hint</summary>The call is that of the experiment, with the same
# <code>options</code> and another name.</details>

# %%
mine = None
### BEGIN SOLUTION
# Gumbel-softmax lies between the two: a noisy mixture, so its argmax loses little.
mine = compare.train_and_score(
    estimators.make("gumbel_softmax"), net1, data, name="gumbel_softmax", **options
)
### END SOLUTION


if check("00.3", mine, names):
    print(pd.Series(mine.decoders)[list(shown)].rename(shown).round(2).to_string())

# %% [markdown]
# ## Take-aways

# %%
rows = results["decode_argmax"]
claim(
    "Of the three, the softmax has the lowest loss in training: over the next lowest",
    results["train_relaxed"]["softmax"] / results["train_relaxed"].drop("softmax").min(),
    at_most=0.9,
)
claim(
    "Its argmax rows cost several times those of straight-through Gumbel.",
    rows["softmax"] / rows["straight_through_gumbel"],
    at_least=3,
)

# %%
claim(
    "Decoded by search, they are better than the argmax rows of the other two.",
    by_decoder.loc["softmax", "by search"] / rows.drop("softmax").min(),
    at_most=0.95,
)
claim("They cost about what the limit costs.", over.loc["softmax", "by search"], at_most=0.15)

# %% [markdown]
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [01 · Integer-index
# baseline](01_integer_index_baseline.ipynb) begins at the beginning: what does a net make of a
# code?

# %%
quiz("00")
