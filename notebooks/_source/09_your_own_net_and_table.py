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
# # 09 · Which way is best for your own net and table?
#
# **You will** read a CSV file, take a trained net from somebody else's library, make it accept
# simplexes without touching it, let a comparison on *this* net and table say what to train through
# and what to decode by, and predict rows that the table could hold.
#
# **You learn** what a net may do with codes so that it can be
# [softened](../docs/glossary.md#softened-net), what is refused and why,
# how far to trust a recommendation, and how to decide without one.
#
# **You need** notebooks 02, 03 and 04; to use your own, a CSV file and a trained torch net. About 2
# minutes of computing.
#
# **Where this stands.** [[course]]

# %%
import tempfile
from pathlib import Path

import pandas as pd
import torch
from rtdl_revisiting_models import FTTransformer

import tabkit
from tabkit import compare, decode, fit_predictor, plots
from tabkit.lesson import SEED, check, claim, predict, quiz, short, summary
from tabkit.simplex import one_hot

# %% [markdown]
# ## The question
#
# The forum's asker had a *trained* net that takes integer codes, and a table of his own. He did not
# want to rebuild the net. Which of all the ways of this course is the best one for *his*? There is
# no answer for all nets. There is one for yours, and it takes minutes.
#
# ## A table
#
# Here some flights play the part of your file. `read_table` takes a path, or any frame, and tells
# what it makes of each column:

# %%
path = Path(tempfile.mkdtemp()) / "flights.csv"
columns = ["month", "origin", "carrier", "dest", "hour", "temp", "air_time", "arr_delay"]
flown = tabkit.data.flights_frame()[columns].sample(12_000, random_state=SEED)
flown.to_csv(path, index=False)

# %%
table = tabkit.read_table(path)
print(table)

# %% [markdown]
# Text is a category, and a number with very many values is a number. But a column of numbers with
# few values may be either: a month is no measurement, though 3 lies between 2 and 4. It *asks*, and
# you answer. The outcomes are what net1 was trained to tell, and are not among its inputs:

# %%
data = table.data(
    categorical=["month", "origin", "carrier", "dest", "hour"],
    continuous=["temp"],
    outcomes=["air_time", "arr_delay"],
    seed=SEED,
)
data

# %% [markdown]
# ## A net that tabkit did not write
#
# An FT-Transformer (Gorishniy et al. 2021, arXiv:2106.11959) from its authors' library. It wants
# the numbers first, then integer codes. Its training is a plain regression of the outcomes, in a
# loop of our own; nothing of tabkit is in it.

# %%
torch.manual_seed(SEED)
sizes = {"d_block": 16, "attention_n_heads": 2}
theirs = FTTransformer(
    n_cont_features=1,
    cat_cardinalities=list(data.schema.cardinalities),
    d_out=2,
    **(FTTransformer.get_default_kwargs(n_blocks=1) | sizes),
)
optimizer = torch.optim.AdamW(theirs.parameters(), lr=3e-3)


# %%
def step():
    some = data.train[torch.randint(len(data.train), (256,))]
    rows = data.rows[some]
    loss = (theirs(rows.continuous, rows.codes) - data.outcomes[some]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
trained = [step() for _ in range(short(400, 100))]
print(f"its loss fell from {trained[0]:.2f} to {sum(trained[-50:]) / 50:.2f}")

# %% [markdown]
# ## Soften it
#
# Now freeze it, and hand it over with real rows. The last argument says how it is called.

# %%
theirs = tabkit.freeze(theirs)
net1 = tabkit.soften(theirs, data.rows, data.schema, lambda net, codes, x: net(x, codes))
print(net1.extra_repr())

# %% [markdown]
# Each line is a lookup that was found: the table, the column that reads it, its rows, and where in
# the library's code. Nobody told `soften` that: it watched which lookups the net makes, and changed
# one column at a time. By codes, `net1` is the net itself. By one-hots it must give the same:

# %%
rows = data.rows[data.test]
hot = one_hot(rows.codes, data.schema.cardinalities)
apart = (net1(hot, rows.continuous) - theirs(rows.continuous, rows.codes)).abs().max().item()
print(f"one-hots and codes differ by at most {apart:.1g}")

# %% [markdown]
# ## Why that is enough
#
# A lookup of code $k$ in a table $W$ is $e_k^\top W$, with the one-hot $e_k$ (notebook 02). So the
# mixture $p^\top W$ is what the same net would give if it had been written for simplexes, and its
# gradient for $p$ is exact:
#
# $$\frac{\partial L}{\partial p} = \sum_{\text{lookups}} W \frac{\partial L}{\partial p^\top W}$$
#
# That holds for a table, a one-hot inside, `W[codes]`, a gather, for codes shifted or hashed on the
# way. It does not hold where a code is used as a *number*, or compared, or crossed with another
# column: there is no table to mix. Such a net must be refused, and in words that help:


# %%
class Seasonal(torch.nn.Module):
    """Their net, which also counts the month as a number."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, codes, x):
        return self.net(x, codes) + 0.05 * codes[:, :1]


try:
    refused = None
    tabkit.soften(tabkit.freeze(Seasonal(theirs)), data.rows, data.schema)
except tabkit.NotFollowed as error:
    refused = str(error)
    print(error)

# %% [markdown]
# ## Which way is best for this net?
#
# You know the candidates: softmax, Gumbel-softmax, straight-through, the embedding itself;
# decoded by argmax, by the table, by search, by restarts if there is time. (Not by the first layer:
# the library's net has none that tabkit could ask.) On the RowEncoders of this course, softmax with
# search won. This net1 is another kind of net, on another table. What do you expect?

# %%
guess = predict(
    "09.a",
    "Which decoder wins on this net?",
    options=["argmax", "table", "search", "restarts"],
    reread="Which way is best for this net?",
)

# %%
found = tabkit.recommend(net1, data, minutes=short(1, 0.5), seed=SEED)
print(found)

# %%
print(guess.compare(found.best[1]))

# %%
plots.recommendation(found)

# %% [markdown]
# Read it from both ends. On the right a *random row* of the table, on the left the *limit*: a net
# of the same size that outputs net1's output itself, and no row at all: about the least that can be
# reached. `share` is how far a way gets from the one to the other, `spread` the loss's standard
# deviation over seeds, if several, `error` its standard error, `seconds` what decoding 20,000 rows
# takes. Two ways whose difference is less than two of its standard errors are called a tie: take
# the cheaper one. A minute is short; the last sentences say what more time would settle.
#
# ## Do what it says
#
# `found.best` holds two names: the way to train, with its knobs after a colon as in notebook 05,
# and the decoder. `parse_spec` makes of the first the estimator, and the schedules of its knobs, if
# it has any. (`head` says what net0 must output for it: logits, or embeddings.)

# %%
spec, decoder = found.best
estimator, schedules = compare.parse_spec(spec)
net0 = tabkit.RowPredictor(data.signal.shape[1], net1, head=estimator.head, seed=SEED)

# %%
options = {"schedules": schedules, "steps": short(400), "seed": SEED}
_ = fit_predictor(net0, net1, data, estimator, **options).run("net0")

# %%
some = data.test[:200]
predicted = decode(net0, data.signal[some], net1, decoder=decoder, estimator=estimator)
data.decode(predicted).head()

# %% [markdown]
# These are rows of *this* table: its columns in its order, whole numbers where it had whole
# numbers, no category that training has not seen. That they are right for net1 does not make them
# true to people; notebook 07 looks into that. And rows that arrive tomorrow are put on the
# training scale:

# %%
tomorrow = flown[["temp", "air_time", "arr_delay"]].head(3)
signal = data.signal_of(tomorrow)
data.decode(decode(net0, signal, net1, decoder=decoder, estimator=estimator))

# %% [markdown]
# ## Turn the dial
#
# Say that all predicted flights must leave from JFK: `fixed` holds a column, in training and in
# every decoder. What will that do to the carrier, of which some hardly fly from there? Try other
# values; try `minutes=5` above; then put your own file and net in.

# %%
given = {"origin": "JFK"}
_ = fit_predictor(net0, net1, data, estimator, fixed=given, **options).run("net0, fixed")

# %%
from_jfk = data.decode(decode(net0, data.signal[some], net1, decoder=decoder, estimator=estimator))
both = {"predicted": from_jfk, "in the table": flown[flown["origin"] == "JFK"]}
shares = {name: frame["carrier"].value_counts(normalize=True) for name, frame in both.items()}
pd.DataFrame(shares).fillna(0).nlargest(5, "predicted").round(2)

# %% [markdown]
# Beside the predictions stands what does fly from JFK. Where the two disagree nothing is broken:
# `fixed` holds one column, and the others go where net1 wants the row (notebook 07).
#
# ## The guide
#
# And without a measurement? Ask, in this order; take the first line that fits.
#
# | ask | if so | why: notebook |
# |---|---|---|
# | is net1 still to be trained? | start its tables small (`RowEncoder` does); go on | 06 |
# | has net1 no gradient, or one that means nothing? | `leave_one_out`, by argmax | 05 |
# | have you labels, and must rows look real? | straight-through Gumbel, some `label_weight` | 07 |
# | may net1 be asked when rows are made? | softmax, by `search`; with time, by `restarts` | 04 |
# | is net0 trained through the softmax already? | by `first_layer`; never by argmax | 04 |
# | else: it must be the argmax | Gumbel-softmax, tau falling from 2 | 05 |
#
# (`label_weight`: .01 to .1, by argmax; *drawn* from the softmax, if rows must differ as real ones
# do. The last line: straight-through Gumbel at about 1 comes near.)
#
# Two things more. With many thousand categories in a
# column: exact attention, or sampling (notebook 08). And if you train net0 *and* net1 and must
# decode by argmax: both at once (notebook 07).
#
# ## Exercises
# **1. Call a net as it wants to be called** (★, 5 minutes). `Counted` takes *one* tensor of floats:
# first the codes, from 1 on, then the numbers. Write `call(net, codes, x)`, with codes from 0 on
# and numbers, so that it can be softened.
#
# <details><summary>Hint 1</summary><code>torch.cat</code> makes one tensor of two; integers become
# floats on the way.</details>
# <details><summary>Hint 2</summary>Codes may be shifted in <code>call</code>: <code>soften</code>
# finds out by which map a column is read.</details>


# %%
class Counted(torch.nn.Module):
    def forward(self, both):
        return theirs(both[:, 5:], both[:, :5].long() - 1)


def call(net, codes, x):
    ### BEGIN SOLUTION
    # Its own order, and its own way to count; the lookups inside stay what they are.
    return net(torch.cat([codes + 1, x], dim=1))
    ### END SOLUTION


check("09.1", call, Counted(), data, net1)

# %% [markdown]
# **2. The mixture by hand** (★★, 10 minutes). `W` (K, D) is the table of a column, `shares` (K,) a
# mixture of its categories. The loss is the squared distance between the mixture's embedding and
# `wanted` (D,). Write `gradient(shares, W, wanted)`: its gradient (K,) for the shares. Do not use
# autograd.
#
# <details><summary>Hint 1</summary>The mixture is a product of a vector and a matrix.</details>
# <details><summary>Hint 2</summary>The formula above, with one lookup: W times the gradient of the
# loss for the mixture.</details>


# %%
def gradient(shares, W, wanted):
    ### BEGIN SOLUTION
    # Of the squared distance, not of its root: 2 (mixture - wanted) arrives at the mixture.
    return W @ (2 * (shares @ W - wanted))
    ### END SOLUTION


check("09.2", gradient)

# %% [markdown]
# **3. Three readers** (★★, 10 minutes, open). What would you advise? **a**: a frozen scoring
# service that is a black box, without gradients. **b**: a frozen torch net; rows are made once a
# night, and time is no matter. **c**: a frozen torch net; rows are made on a telephone, where net1
# is not. Write what to train through and what to decode by, two words each, into `advice`. Names as
# in `tabkit.estimators.names()` and `tabkit.decoders.names()`. Then: what is *yours*?
#
# <details><summary>Hint</summary>The guide, from the top.</details>

# %%
advice = None  # {"a": (through, by), "b": (through, by), "c": (through, by)}
### BEGIN SOLUTION
# a: no gradient. b: net1 can be asked, and time is no matter. c: it must be the argmax.
advice = {
    "a": ("leave_one_out", "argmax"),
    "b": ("softmax", "restarts"),
    "c": ("gumbel_softmax", "argmax"),
}
### END SOLUTION
check("09.3", advice)

# %% [markdown]
# ## Take-aways

# %%
claim("The library's net is followed exactly: one-hots give what codes give.", apart < 1e-4)
claim(
    "A net that counts a code as a number is refused, and told where.",
    refused is not None and "mul at" in refused,
)

# %%
claim(
    "The best way found is most of the way from a random row to the limit.",
    found.share(found.table["loss"].min()),
    at_least=0.8,
)
found_rows, seen = data.decode(predicted), set(flown.iloc[data.train.numpy()]["dest"])
own = table.frame[found_rows.columns]
claim(
    "Predicted rows are the table's: its dtypes, and categories that training has seen.",
    (found_rows.dtypes == own.dtypes).all() and set(found_rows["dest"]) <= seen,
)
claim("What is fixed is fixed.", set(from_jfk["origin"]) == {"JFK"})

# %% [markdown]
# So do not ask which estimator is best. Soften your net, read your table, and let them answer; then
# say what was decoded by what, and how far that is above the limit.
#
# ## Quiz

# %%
quiz("09")

# %% [markdown]
# **The whole course.** What you predicted, what came out, and what to read again. With your name,
# as in `summary("Ada")`, it is written to a file to hand in, too.

# %%
summary()

# %% [markdown]
# **Where to go from here.** That was the course: codes, simplexes, a loss behind net1, decoders,
# estimators, what net1 learned, where predictions land, the bill, and your own net. The pages in
# `docs` go on where it stops: [your own net](../docs/your_own_net.md),
# [table](../docs/your_own_table.md) and [loss](../docs/your_own_loss.md).
