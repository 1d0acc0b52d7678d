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
# # 08 · What do soft categories cost?
#
# **You will** reproduce an accident that makes a net slower by orders of magnitude, race eight ways
# to embed a simplex, fold net1's tables away, and time net0's training against a plain MLP.
#
# **You learn** why counting multiplications is not enough, where the time of a loop over columns
# goes, what a frozen net1 lets you compute beforehand, and when to leave categories out.
#
# **You need** notebooks 02 and 03, and 04 for the local search. About 1 minute of computing.
#
# **Where this stands.** [[course]]

# %%
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import one_hot, scaled_dot_product_attention

import tabkit
from tabkit import decoders, plots, ruler
from tabkit.lesson import SEED, check, claim, predict, quiz, short
from tabkit.nets import encode_rows, folded

torch.set_num_threads(1)

# %% [markdown]
# ## The question
#
# This course began with a question in a forum. Somebody had a net that read codes through embedding
# tables, and wrote a one-hot version of it, so that gradients reach the categories (notebook 02).
# By his account it was about ten times slower at 1,000 rows, and hopeless at 200,000. The answers
# proposed a list of one-hots, one tensor to cut slices from, block-diagonal weights, padding,
# sparse tensors, and for very many categories the likeliest few plus some at random. Nobody
# measured. We do.
#
# **How to time.** `ruler.race` lets the contestants take turns, in a new order each round, and
# takes ratios *within* a round: a busy moment of the machine then hits all of them. We compute on
# one thread, because threads that wait for each other measure who else uses the machine. What comes
# out is your machine's; the text says nothing that hangs on a few per cent.
#
# ## The accident
#
# First a part that has nothing to do with layouts: stray floats in an integer column had exploded
# the classes. Take the hour of departure of 200,000 flights, and let every fifth have passed
# through some conversion that left a small error: 7 became 7.004. To the eye the same hours. To a
# one-hot, each *distinct* value is a class:

# %%
flown = tabkit.flights().frame(slice(200_000))["hour"]
strayed = flown.astype(float)
strayed[::5] += np.random.default_rng(SEED).normal(0, 0.01, 40_000)
accident = pd.DataFrame(index=pd.Index([1_000, 8_000, 200_000], name="rows"))
accident["classes"] = [flown[:n].nunique() for n in accident.index]
accident["classes, strayed"] = [strayed[:n].nunique() for n in accident.index]
accident.assign(gib=accident.index * accident["classes, strayed"] * 4 / 2**30).round(3)

# %% [markdown]
# Classes grow with the rows, so the one-hots (rows times classes; `gib` of float32) grow with the
# *square* of them: 200 times the rows make more than 30,000 times the numbers. And a training step
# of this one column, through a table, and through a one-hot times a Linear layer?


# %%
def one_hot_over_index(hours):
    numbers, classes = pd.factorize(hours)
    codes, K = torch.tensor(numbers), len(classes)
    index, hot = torch.nn.Embedding(K, 8), torch.nn.Linear(K, 8)
    works = {
        "index": ruler.training_step(index, lambda: index(codes).square().mean()),
        "one-hot": ruler.training_step(hot, lambda: hot(one_hot(codes, K).float()).square().mean()),
    }
    return ruler.race(works, rounds=short(5, 2)).loc["one-hot", "ratio"]


# %%
columns, sizes = {"whole hours": flown, "strayed hours": strayed}, (1_000, 8_000)
ratios = {n: {c: one_hot_over_index(h[:n]) for c, h in columns.items()} for n in sizes}
pd.DataFrame(ratios).rename_axis(columns="rows").round(1)

# %% [markdown]
# How many times as long as the lookup. With whole hours the ratio hardly depends on the rows. With
# strays it *grows* with them: so "ten times slower" becomes "hopeless". No layout mends that; the
# data must be. A `Schema` refuses such a column before any net is built, and says where, what, and
# what to do:

# %%
try:
    tabkit.Schema.infer(strayed.to_frame(), categorical=["hour"])
except tabkit.DataError as error:
    print(error)

# %% [markdown]
# (Here: `frame["hour"].round().astype(int)`.)
#
# ## The layouts
#
# Now honest columns. `planted` makes a table of the forum's kind: 10 or 50 categorical columns of 5
# to 30 categories, and as many numbers. `ruler.LAYOUTS` holds what was proposed, a few lines each:
# `prepare` the tables (once, since net1 is frozen), then `mix` them by a simplex.
#
# | name | what it multiplies |
# |---|---|
# | `list` | C tensors, one a column, each with its table |
# | `slices` | one tensor (B, F); C slices of it, each with its table |
# | `block_diagonal` | the tensor with *one* matrix that has all tables on its diagonal |
# | `grouped_block_diagonal` | the same for every few neighbouring columns |
# | `padded` | a batch of C products, every column padded to the widest |
# | `bucketed` | a batched product for all columns of one cardinality |
# | `sparse` | a sparse tensor with the block-diagonal matrix |
# | `embedding_bag` | nothing: weighted sums of rows of one long table |
#
# Which is the fastest for 50 columns?

# %%
guess = predict(
    "08.a",
    "Which layout is fastest for 50 columns?",
    options=list(ruler.LAYOUTS),
    reread="The layouts",
)


# %%
def setting(columns, rows=1_000):
    data = tabkit.planted(4 * rows, categorical=columns, continuous=columns, cardinality=(5, 30))
    logits = torch.randn(rows, data.schema.width, generator=torch.Generator().manual_seed(SEED))
    simplex = tabkit.simplex.softmax(logits, data.schema.cardinalities)
    return tabkit.freeze(tabkit.RowEncoder(data.schema)), data, simplex


net1, data, simplex = setting(50)
K, tables = data.schema.cardinalities, [table.weight for table in net1.embedding.tables]
mixed = torch.stack([layout(simplex, tables) for layout in ruler.LAYOUTS.values()])
farthest = (mixed - mixed[0]).abs().max().item()
farthest

# %% [markdown]
# All agree to float precision, or a race would mean nothing. Each now runs forward, and backward to
# the simplex. `index` is the net that reads codes: its input has no gradient, so it runs back to
# its tables, which it trains.

# %%
both = {f"{columns} columns": setting(columns) for columns in (10, 50)}
works = {name: ruler.embedding_works(*each) for name, each in both.items()}
races = {name: ruler.race(work, short(20, 2)) for name, work in works.items()}
plots.race(races)

# %%
parts = {name: layout.prepare(tables) for name, layout in ruler.LAYOUTS.items()}
parts = {name: [p for p in part if p.is_floating_point()] for name, part in parts.items()}
work = pd.DataFrame({name: found["ratio"].round(2) for name, found in races.items()})
work["multiplications"] = {name: sum(p.numel() for p in part) for name, part in parts.items()}
work["operands"] = {name: len(part) for name, part in parts.items()}
print(guess.compare(work["50 columns"].drop("index").idxmin()))
work.drop("index").convert_dtypes().sort_values("50 columns")

# %% [markdown]
# The first columns are times, over that of `index`. Then, for 50 columns, the multiplications a row
# and the matrices they are split into. `slices` multiplies least, in C small products, each of
# which must be called. `block_diagonal` is one product, mostly with zeros: C times the arithmetic,
# which 10 columns can afford better than 50. **Grouped** lies between. `padded` and `bucketed` copy
# the simplex into another shape; `embedding_bag` and `sparse` carry an index for each number, and
# the zeros that a sparse tensor would skip are not there: a simplex has none.
#
# `SoftEmbedding` takes `slices`, whose products it writes to their places (`tabkit.fast`), so you
# need not choose. But is an embedding needed at all?
#
# ## Folding
#
# Behind the table $W_c$ of column $c$ stands a linear layer with $R$ outputs, $A_c$ its part for
# that column. Nothing bends between the two, and net1 is frozen, so
#
# $$\sum_c (x_c W_c) A_c = \sum_c x_c (W_c A_c) = x P, \qquad
# P = \begin{pmatrix} W_1 A_1 \\ \vdots \\ W_C A_C \end{pmatrix} \in \mathbb R^{F \times R}.$$
#
# A mixture of embeddings times a weight is the same mixture of the products. $P$ is computed once;
# then a row costs one matrix product, and for codes a sum of C rows of $P$.

# %%
faster, numbers = folded(net1), data.rows.continuous[:1_000]
fold_error = (faster(simplex, numbers) - net1(simplex, numbers)).abs().max().item()
fold_error

# %% [markdown]
# Is it always a saving? $P$ has $F R$ numbers. Apart, a row takes the multiplications of the
# grouped tables, then $C D R$ for the layer: with narrow embeddings that is less. `FoldedLinear`
# counts, and on a CPU goes the shorter way:


# %%
def multiplications(D):
    first = folded(tabkit.freeze(tabkit.RowEncoder(data.schema, D=D))).first
    return {**first.multiplications, "goes": "apart" if first.apart else "folded"}


counts = pd.DataFrame({f"D = {D}": multiplications(D) for D in (2, 4, 8, 16, 32, 64)}).T
print(counts.to_string())
wide = tabkit.freeze(tabkit.RowEncoder(data.schema, D=32))
ruler.race(ruler.first_layer_works(wide, data, simplex), rounds=short(10, 2)).round(2)

# %% [markdown]
# Below the counts the same by the clock, at D = 32, where it folds: from the simplex through the
# layer and back.
#
# ## The whole step
#
# What does a *training step* of net0 cost, forward, backward and Adam? The fair measure is a plain
# MLP with the same matrices that hands its numbers on as they are: no softmax, no noise, no
# categories. Against it run four estimators through the folded net1, the same by the plain formulas
# of `tabkit.simplex` (`plain`), and what one writes first, the loop over columns (`loop`):
#
# ```python
# mixed = [relax(block) @ table for block, table in zip(logits.split(K, dim=1), tables)]
# ```
#
# (Two races of a dozen rounds, without a bar.)


# %%
steps = {name: ruler.race(ruler.step_works(*each[:2]), short(12, 2)) for name, each in both.items()}
ratios = pd.DataFrame({name: found["ratio"] for name, found in steps.items()})
print(ratios.round(2).to_string())
plots.race(steps)

# %% [markdown]
# 1 is the plain MLP; what a ratio has above it is the price of having categories, and the quartiles
# say how far to believe it. (`make bench` takes these ratios with more care.) Most of each step is
# what the plain MLP does, too. A ratio below 1 would be no miracle: for its F numbers the MLP has a
# matrix of F times 256, where net1, at D = 8, goes apart with half the multiplications.
#
# ## Why
#
# Three things part the loop from tabkit's softmax. The loop calls a softmax for each column, and
# each leaves **nodes** in the graph that `backward` walks through; tabkit's is one node for all.
#
# Second, **memory order**. In a tensor (B, F) row lies after row; a softmax over 5 to 30 neighbours
# is too short for a processor's wide registers, and the next row's block lies F numbers on. net0
# puts its logits down *feature by feature*, as (F, B), and hands out the transposed view: now a
# block is one piece of memory, and each operation of its softmax runs along 1,000 rows.
#
# Third, **noise**. Gumbel noise is minus the logarithm of exponential draws: from `exponential_`,
# or as $-\log(-\log u)$ from uniform ones.

# %%
logits = torch.randn(1_000, sum(K), generator=torch.Generator().manual_seed(0)).requires_grad_()
turned = logits.detach().T.contiguous().T.requires_grad_()
noise = torch.Generator().manual_seed(0)
ways = {
    "loop": lambda: tabkit.simplex.softmax(logits, K),
    "tabkit": lambda: tabkit.fast.softmax(turned, K),
}
graph = {name: ruler.graph_nodes(way()) for name, way in ways.items()}
graph

# %%
like = torch.empty(1_000, sum(K))
works = {
    "softmax: loop": ruler.there_and_back(ways["loop"], logits),
    "softmax: tabkit": ruler.there_and_back(ways["tabkit"], turned),
    "noise: exponential_": lambda: like.exponential_(generator=noise).log().neg(),
    "noise: -log(-log u)": lambda: like.uniform_(generator=noise).log().neg().log().neg(),
}
ruler.race(works, short(20, 2))["ms"].round(2).to_frame()

# %% [markdown]
# `graph` counts the logits' own node, too; the second table is in milliseconds, for all columns.
#
# ## Exchanges
#
# Local search (notebook 04) and `indecater` put every category of every column into a row: F - C
# trials. Each changes one term of the folded first layer's output $h$, to
# $h - P_{\text{old}} + P_{\text{new}}$: two additions, where a whole row takes a product.
# `SquaredDistance` knows that, and a search asks it. Better still, where only the best exchange is
# wanted: taken as linear, the rest of net1 tells which sixteen may be it, and only these are tried.
# A plain function (`objective.__call__`) knows neither, nor how to leave out rows that arrived.

# %%
net1, data, _ = both["10 columns"]
some, start = data.test[:20], data.rows.codes[data.train[:20]]
faster, target = folded(net1), encode_rows(net1, data.rows[some])
objective = tabkit.SquaredDistance(faster, data.rows.continuous[some], target)
K = data.schema.cardinalities
searches = {
    "whole rows": lambda: decoders.local_search(start, objective.__call__, K)[1],
    "shortlists": lambda: decoders.local_search(start, objective, K)[1],
}

# %%
before = objective.hard(start, K).mean()
fell = {name: (before - search().mean()).item() for name, search in searches.items()}
print(f"{sum(K) - len(K)} trials a row and round; by how much the loss falls: {fell}")
ruler.race(searches, rounds=short(3, 1)).round(2)

# %% [markdown]
# ## Very many categories
#
# A column of 100,000 categories: products, users, words. The forum's idea was to take the likeliest
# and some at random. Two traps: renormalise the few to sum to 1, and the result is biased, however
# many rows you average; and a random category needs the right *weight* (exercise 2).
# `SampledSoftEmbedding` takes k exactly and weights m draws so that the *mean over draws* is the
# whole product, in value and gradient. Below: the gradient's error with k = 32 of 1,000 categories,
# for a single draw and for the mean of 1,000, over the length of the true gradient.


# %%
def errors(spread, m):
    draw = torch.Generator().manual_seed(0)
    layer = tabkit.SampledSoftEmbedding(1_000, 16, k=32, m=m, generator=draw).requires_grad_(False)
    row, g = spread * torch.randn(1, 1_000, generator=draw), torch.randn(16, generator=draw)
    all_of_them, drawn = row.requires_grad_(), row.repeat(1_000, 1)  # a draw a row
    dense = all_of_them.softmax(dim=1) @ layer.table.weight @ g
    (true,) = torch.autograd.grad(dense, all_of_them)
    (found,) = torch.autograd.grad((layer(drawn, draw) @ g).sum(), drawn)
    single, mean = (found - true).norm(dim=1).square().mean().sqrt(), found.mean(dim=0) - true
    return {"single": (single / true.norm()).item(), "mean": (mean.norm() / true.norm()).item()}


spreads, drawn = {"peaked": 4.0, "flat": 0.5}, {"with 32 draws": 32, "without": 0}
scatter = {f"{s}, {m}": errors(spreads[s], drawn[m]) for s in spreads for m in drawn}
scatter = pd.DataFrame(scatter).T
scatter.round(3)

# %% [markdown]
# (`peaked` and `flat` logits have standard deviations 4 and 0.5.) With draws, the mean of many
# comes near the truth. The likeliest alone do not scatter; their error is all bias, and stays. But
# for flat logits a single gradient is mostly noise: 64 categories cannot stand for 1,000 that are
# about as likely. Leave categories out only where few carry most of the probability.
#
# What does it save? Let logits come from D hidden features of net0; D is the table's width, too.
# There is a third way: a softmax of products, times a table, *is* an attention of each row to all
# categories. The keys are net0's last layer, the values the table. Below: milliseconds for 32 rows;
# then the memory that the graph keeps from forward to backward, weights aside.


# %%
def many(K, D, rows=32):
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, 1, rows, D, generator=draw).requires_grad_()
    last = torch.nn.Linear(D, K, bias=False).requires_grad_(False)
    layer = tabkit.SampledSoftEmbedding(K, D, generator=draw).requires_grad_(False)
    A, W = last.weight[None, None], layer.table.weight[None, None]
    ways = {
        "dense": lambda: last(hidden).softmax(dim=-1) @ W,
        "attention": lambda: scaled_dot_product_attention(hidden, A, W, scale=1.0),
        "sampled": lambda: layer(last(hidden[0, 0]), draw),
    }
    return hidden, (A, W), ways


sizes = ((1_000, 32), (100_000, 32), (100_000, 256))


# %%
def race_many(K, D):
    leaf, _, ways = many(K, D)
    return ruler.race({n: ruler.there_and_back(w, leaf) for n, w in ways.items()}, 5)["ms"]


pd.DataFrame({f"{K:,} categories, D = {D}": race_many(K, D) for K, D in sizes}).round(2)

# %%
_, weights, ways = many(100_000, 32)
kept = pd.Series({name: ruler.kept_bytes(way, but=weights) for name, way in ways.items()})
attention_error = (ways["attention"]() - ways["dense"]()).abs().max().item()
(kept / 2**20).round(2).rename("MiB kept").to_frame()

# %% [markdown]
# With few categories the dense product wins by far. Sampling saves the product with the table, and
# nothing else: it must work out every logit and its exponential all the same, for the normaliser.
# So it pays late, where categories are many *and* the table is wide; expect no orders of magnitude.
# It keeps as much as the dense product, too. Memory is the better reason to look elsewhere, and
# PyTorch's attention is exact and keeps no logits. `benchmarks/many_categories.py` goes further.
#
# ## Turn the dial
#
# Choose your own table. Before you run it: what will 32 rows, in place of 1,000, do to `slices`?
# From how many columns on is `block_diagonal` slower than `slices`? And what do 2 threads change?

# %%
columns, rows, threads = 20, 1_000, 1
torch.set_num_threads(threads)
own = ruler.race(ruler.embedding_works(*setting(columns, rows)), short(20, 2))
plots.race({f"{columns} columns, {rows:,} rows, threads: {threads}": own})

# %% [markdown]
# ## Exercises
#
# **1. Repair a column** (★, 5 minutes). `strayed` holds whole hours, some with a small error. Write
# `repaired(column)`: the same column with whole numbers. But *refuse* a column that was never
# whole: return the text `"no codes"` if any value lies more than 0.1 from a whole number.
#
# <details><summary>Hint</summary><code>column.round()</code>, and how far the column is from
# it.</details>


# %%
def repaired(column):
    ### BEGIN SOLUTION
    # Rounding mends a small error; of honest measurements it would make nonsense.
    whole = column.round()
    return "no codes" if (column - whole).abs().max() > 0.1 else whole.astype(int)
    ### END SOLUTION


check("08.1", repaired)

# %% [markdown]
# **2. Fold by hand** (★★, 10 minutes). `W1` (K1, D) and `W2` (K2, D) are the tables of two columns,
# and `weight` (R, 2 D) that of the linear layer that takes both embeddings, side by side. Write
# `fold(W1, W2, weight)`: the matrix P (K1 + K2, R) with which `simplex @ P` is what tables and
# layer give, bias aside.
#
# <details><summary>Hint 1</summary>A layer's weight is (out, in): transpose it.</details>
# <details><summary>Hint 2</summary><code>torch.block_diag(W1, W2)</code> is a layout that you
# know.</details>


# %%
def fold(W1, W2, weight):
    ### BEGIN SOLUTION
    # Nothing bends between table and layer, so the two products can be made one beforehand.
    return torch.block_diag(W1, W2) @ weight.T
    ### END SOLUTION


check("08.2", fold)

# %% [markdown]
# **3. The weight of a random negative** (★★★, 15 minutes, open). A row has probabilities `p` (K,).
# The categories in `exact` count exactly. *One* of the others is drawn, each with the same chance,
# and its embedding is added times a weight. Write `weights(p, exact)`: the weight (K,) that each
# gets if it is drawn, 0 for the exact ones, so that the expectation is `p @ E`.
#
# <details><summary>Hint 1</summary>Write the expectation as a sum over the draws. What makes
# its term for category j equal to p_j E_j?</details>
# <details><summary>Hint 2</summary>Probability over chance. Nothing is renormalised.</details>


# %%
def weights(p, exact):
    ### BEGIN SOLUTION
    # Each of the others is drawn with chance 1 / others; its weight makes up for that.
    others = len(p) - len(exact)
    found = p * others
    found[exact] = 0.0
    return found
    ### END SOLUTION


check("08.3", weights)

# %% [markdown]
# ## Take-aways

# %%
claim(
    "With strays, classes grow with the rows: the 19 hours, and one more for each stray.",
    (accident["classes, strayed"] == accident.index // 5 + 19).all(),
)
multiplied = work["multiplications"]
claim(
    "All layouts agree; block-diagonal multiplies 50 times as much as slices.",
    farthest < 1e-5 and multiplied["block_diagonal"] == 50 * multiplied["slices"],
)
claim(
    "Folding is exact, and saves multiplications for wide embeddings, not for narrow ones.",
    fold_error < 1e-5 and counts.loc[["D = 2", "D = 64"], "goes"].to_list() == ["apart", "folded"],
)
claim(
    "A softmax of 50 columns is one node; a loop, more than 50.",
    graph["tabkit"] == 2 and graph["loop"] > 50,
)
claim(
    "Shortlists lower the loss by as much as all trials do, to 5%.",
    fell["shortlists"] > 0.95 * fell["whole rows"],
)
drawn, alone = scatter.loc["flat, with 32 draws"], scatter.loc["flat, without"]
claim(
    "Weighted draws are unbiased; the likeliest alone are not.",
    drawn["mean"] < 2 * drawn["single"] / 1_000**0.5 and alone["mean"] > 10 * drawn["mean"],
)
claim(
    "Sampling keeps as much memory as the dense product; attention, exact, less than a tenth.",
    attention_error < 1e-4 and kept["attention"] < 0.1 * kept["dense"] < kept["sampled"],
)

# %% [markdown]
# **Which layout when.**
#
# | you have | use | because |
# |---|---|---|
# | codes that need no gradient | `index`, what `nn.Embedding` does | a lookup reads D numbers |
# | simplexes, net1 frozen | `nets.folded(net1)` | it goes the shorter of two ways |
# | simplexes, tables in training | `SoftEmbedding`, that is, `slices` | nothing to prepare |
# | a GPU | `nets.folded(net1)`, or `block_diagonal`; a captured step | each call has its price |
# | single categories to exchange | `SquaredDistance.exchanges` | rows of P are added |
# | some 10,000 categories, or fewer | the dense product | sampling would cost more |
# | more, too many for memory | attention | exact, without the logits |
# | as many, few likely, wide tables | `SampledSoftEmbedding` | unbiased; mind the scatter |
# | floats in a column of codes | none: repair the data | classes grow with the rows |
#
# **On a GPU** each call has its price, whatever it computes: the host needs longer to start a small
# kernel than the kernel takes. There the loop over 50 columns takes four to five times the plain
# MLP's step, sampling among very many categories never paid, up to a million of them, and one thing
# beats every layout: the whole step as *one* CUDA graph, which `fit_predictor` captures by itself
# when its nets are on CUDA. [cost](../docs/cost.md) has the table, and `make bench-gpu` measures
# it.
#
# `make bench` measures all the rest at length; `benchmarks/results` keeps what it found.
#
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [09 · Your own net and
# table](09_your_own_net_and_table.ipynb) takes a net that somebody else wrote, and a CSV file, and
# asks which way is best for them.

# %%
quiz("08")
