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
# # 02 · If a lookup and a product give the same numbers, what is the difference?
#
# **You will** write a category in three ways (a code, a one-hot vector, the input of a Linear
# layer), prove that they agree, and find the one thing in which they do not.
#
# **You learn** why an integer has no gradient while a one-hot has, what that gradient says, and
# which operation kills it between net0 and net1.
#
# **You need** notebook 01, and the chain rule. A few seconds of computing.
#
# **Where this stands.** [[course]]

# %%
import pandas as pd
import torch
from torch.nn.functional import one_hot

from tabkit import RowEncoder, SoftEmbedding, flights, plots
from tabkit.lesson import SEED, check, claim, predict, quiz
from tabkit.simplex import one_hot as one_hot_rows

# %% [markdown]
# ## The question
#
# In notebook 01 a code was an address: it picked a row of an embedding table. Someone who wants a
# *second* net to predict categories would like to know how the loss changes when the category
# does. An address cannot be changed a little. Can the same lookup be written so that it can?
#
# We take one column with K = 4 categories and D = 3 numbers each, in double precision, so that
# "equal" can mean equal to fifteen digits.

# %%
draw = torch.Generator().manual_seed(SEED)
K, D = 4, 3
table = torch.randn(K, D, generator=draw, dtype=torch.float64)
codes = torch.tensor([2, 0, 2, 1])

# %% [markdown]
# **Way 1, the code.** `nn.Embedding` looks a row up. **Way 2, the one-hot.** A vector of zeros
# with a single 1, times the table. **Way 3, a Linear layer** without bias, whose weight is a
# *copy* of the table, transposed.
#
# Two habits keep such a comparison honest. The copy must be a copy: two layers that share storage
# agree however wrong the code is. And the number of classes must be *given*: here the category 3
# does not occur, and `one_hot(codes)` would come out only 3 wide.

# %%
embedding = torch.nn.Embedding.from_pretrained(table.clone(), freeze=False)
weight = table.clone().requires_grad_()
linear = torch.nn.Linear(K, D, bias=False, dtype=torch.float64)
linear.weight.data.copy_(table.T)
hot = one_hot(codes, num_classes=K).double().requires_grad_()
outputs = {
    "lookup": embedding(codes),
    "one-hot @ table": hot @ weight,
    "Linear": linear(hot.detach()),
}
outputs["one-hot @ table"]

# %% [markdown]
# Commit yourself: the three outputs will agree. What about the *gradient of the weights*, after a
# backward pass from the same loss?

# %%
guess = predict(
    "02.a",
    "Do the weights' gradients agree, too?",
    options=["agree", "differ"],
    reread="The experiment",
)

# %% [markdown]
# ## The experiment
#
# The loss is bent on purpose (a sine, and another factor in every column), so that no two
# categories get the same gradient by accident.


# %%
def loss_of(output):
    return (output.sin() * torch.arange(1.0, D + 1)).sum()


for output in outputs.values():
    output.retain_grad()
    loss_of(output).backward()

# %%
gradients = dict(
    zip(outputs, [embedding.weight.grad, weight.grad, linear.weight.grad.T], strict=True)
)


def largest_difference(tensors):
    return {name: (t - tensors["lookup"]).abs().max().item() for name, t in tensors.items()}


# %%
difference = pd.DataFrame(
    {"output": largest_difference(outputs), "weights' gradient": largest_difference(gradients)}
)
agree = bool((difference < 1e-12).all(axis=None))
print(guess.compare("agree" if agree else "differ"))
difference

# %% [markdown]
# Could this check have failed? Break one of them by a millionth and see.

# %%
broken = linear.weight.detach().T.clone()
broken[2, 0] += 1e-6
(hot.detach() @ broken - outputs["lookup"]).abs().max().item()

# %% [markdown]
# ## The difference
#
# The outputs agree, and so do the weights' gradients. Now ask for the gradient of the *input*. The
# one-hot is made of floats, and has one. The code is an integer:

# %%
try:
    codes.requires_grad_()
except RuntimeError as error:
    print("RuntimeError:", error)

# %%
hot.grad

# %% [markdown]
# Four rows, and in each a number for each of the four categories. Row 0 has category 2:

# %%
plots.category_bars(hot.grad[0], [str(k) for k in range(K)], marked=2, label="dL / dx")

# %% [markdown]
# ## Why
#
# Write $W$ for the table (K rows of D numbers), $x$ for the one-hot, $e = xW$ for the embedding
# and $g = \partial L / \partial e$ for the gradient that arrives at it. The chain rule gives
#
# $$\frac{\partial L}{\partial x} = W g, \qquad
# \text{that is,}\quad \frac{\partial L}{\partial x_k} = \left\langle W_k, g \right\rangle .$$
#
# So the one-hot's gradient has one number for *every* category, also for those that the row does
# not have: to first order, how fast the loss changes when $x_k$ grows and nothing else does. A
# one-hot is a corner of the [*simplex*](../docs/glossary.md#simplex) (the vectors that are not
# negative and sum to 1). To stay on the simplex, what one category gains another must lose; so what
# counts is the difference of two of these numbers. Exercise 2 uses that.

# %%
g = outputs["one-hot @ table"].grad
by_chain_rule = g @ table.T
(hot.grad - by_chain_rule).abs().max().item()

# %% [markdown]
# ## The same, in the library
#
# `SoftEmbedding` is a layer that takes both: codes `(B, C)`, for a batch of **B** rows, or a
# simplex `(B, F)`, the blocks of all columns side by side; **F** is the sum of all cardinalities.
# It wraps trained `nn.Embedding`s without copying them. net1 of notebook 01 uses it, so a frozen
# net1 reads simplexes without being trained for them.

# %%
layer = SoftEmbedding.from_embeddings([embedding])
layer.tables[0].weight is embedding.weight

# %%
data = flights(rows=5_000, held_out=500, seed=SEED)
net1 = RowEncoder(data.schema, seed=SEED).double()
rows = data.rows[data.test]
simplex = one_hot_rows(rows.codes, data.schema.cardinalities, torch.float64)
tuple(rows.codes.shape), tuple(simplex.shape)

# %%
by_code = net1(rows.codes, rows.continuous.double())
by_simplex = net1(simplex, rows.continuous.double())
whole_net = (by_code - by_simplex).abs().max().item()
whole_net

# %% [markdown]
# ## Where the gradient dies
#
# Now let a net0 *choose* the category. It outputs logits; the row needs a code; net1 looks the code
# up. We walk from the logits to the loss and ask each result whether a gradient can pass
# (`grad_fn` is the step that a backward pass would go back by. `NoneType`: there is none; the
# logits, where the path begins, need none).

# %%
logits = torch.randn(4, K, generator=draw, dtype=torch.float64, requires_grad=True)
frozen = SoftEmbedding.from_embeddings([embedding.requires_grad_(False)])
path = {"logits": logits}
path["softmax"] = path["logits"].softmax(dim=1)
path["argmax"] = path["softmax"].argmax(dim=1)
path["one_hot"] = one_hot(path["argmax"], num_classes=K).double()
path["embedding"] = frozen(path["one_hot"])
path["loss"] = loss_of(path["embedding"])

# %%
walk = pd.DataFrame(
    {
        "dtype": {name: str(value.dtype) for name, value in path.items()},
        "requires_grad": {name: value.requires_grad for name, value in path.items()},
        "grad_fn": {name: type(value.grad_fn).__name__ for name, value in path.items()},
    }
)
culprit = walk.index[~walk["requires_grad"]][0]
print("the gradient dies in:", culprit)
walk

# %% [markdown]
# It is the **argmax**. It returns an integer, and PyTorch records no gradient for it. That is no
# gap in PyTorch: the argmax is flat wherever it is continuous, so its derivative is 0 nearly
# everywhere, and does not exist where the winner changes. `one_hot` takes an integer and has
# nothing to pass on. What comes after them is innocent: the product with the table passes a
# gradient on, as you saw above.
#
# Leave the argmax out, and it does arrive:

# %%
loss_of(frozen(path["softmax"])).backward()
logits.grad

# %% [markdown]
# ## Turn the dial
#
# The softmax has a temperature: `softmax(logits / tau)`. Run the cell for `tau` 1, 0.1 and 0.01.
# The output comes ever closer to the argmax's. What happens to the gradient on the way?

# %%
tau = 0.1
leaf = logits.detach().clone().requires_grad_()
soft = (leaf / tau).softmax(dim=1)
loss_of(frozen(soft)).backward()
pd.DataFrame({"largest share": soft.max(dim=1).values.detach(), "gradient": leaf.grad.norm(dim=1)})

# %% [markdown]
# Nearer to a corner, the gradient fades. A small temperature gives hard categories, but hardly a
# gradient to learn from.
#
# ## Exercises
#
# **1. W g by hand** (★, 5 minutes). Write `gradient_of_one_hot(table, arriving)`: from a table (K,
# D) and the gradient (D,) that arrives at an embedding, the gradient (K,) of the one-hot, without
# `backward`.
#
# <details><summary>Hint</summary>One inner product for each row of the table; a matrix times a
# vector does all of them.</details>


# %%
def gradient_of_one_hot(table, arriving):
    ### BEGIN SOLUTION
    # One inner product with g for each category, also for those that the row does not have.
    return table @ arriving
    ### END SOLUTION


check("02.1", gradient_of_one_hot)

# %% [markdown]
# **2. The direction of a swap** (★★, 10 minutes). A row has category `old`. Moving a share *t* of
# its mass to category `new` changes the loss, to first order, by *t* times a number. Write
# `slope(gradient, old, new)`, which reads it off the one-hot's gradient (K,).
#
# <details><summary>Hint</summary>The one-hot changes by <em>t</em> times (the one-hot of
# <code>new</code> minus that of <code>old</code>).</details>


# %%
def slope(gradient, old, new):
    ### BEGIN SOLUTION
    # What one category gains the other loses; only the difference of the two numbers counts.
    return gradient[new] - gradient[old]
    ### END SOLUTION


check("02.2", slope)

# %% [markdown]
# **3. A loop through a softmax** (★★, 15 minutes). Now *learn* a category. Write
# `learned(table, wanted)`: start from logits of zeros, (K,), take 200 steps of Adam (`lr=0.1`), and
# lower the squared distance between `softmax(logits) @ table` and `wanted` (D,). Return the logits.
# It is the loop of notebook 03, in a dozen lines.
#
# <details><summary>Hint 1</summary><code>torch.zeros(len(table), requires_grad=True)</code>, and
# <code>torch.optim.Adam([logits], lr=0.1)</code>.</details>
# <details><summary>Hint 2</summary>In each step: <code>zero_grad</code>, loss,
# <code>backward</code>, <code>step</code>.</details>


# %%
def learned(table, wanted):
    ### BEGIN SOLUTION
    # The softmax lets the gradient through; nothing here asks for a corner of the simplex.
    logits = torch.zeros(len(table), dtype=table.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(200):
        loss = (logits.softmax(dim=0) @ table - wanted).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return logits.detach()
    ### END SOLUTION


check("02.3", learned)

# %% [markdown]
# **4. A check that cannot fail** (★★, 10 minutes, open). `shared` and `twin` below use the same
# storage. Add 1 to one entry of `shared.weight`, in place. Then compare `shared(codes)` with
# `twin(hot.detach())` by `torch.equal`, and set `still_equal` to the result. Why does the
# comparison not see the change?
#
# <details><summary>Hint</summary>Edit <code>shared.weight.data</code> in place.</details>

# %%
shared = torch.nn.Embedding.from_pretrained(table.clone())
twin = torch.nn.Linear(K, D, bias=False, dtype=torch.float64)
twin.weight = torch.nn.Parameter(shared.weight.T)
before = shared.weight.detach().clone()
still_equal = None
### BEGIN SOLUTION
# The transposed weight is a view: whatever is wrong in the one is wrong in the other, too.
shared.weight.data[2, 0] += 1
still_equal = torch.equal(shared(codes), twin(hot.detach()))
### END SOLUTION


check("02.4", still_equal, shared, twin, before)

# %% [markdown]
# ## Take-aways

# %%
claim("Lookup, one-hot product and Linear agree in output and in the weights' gradient.", agree)
claim(
    "The one-hot's own gradient exists and is W g.",
    torch.allclose(hot.grad, by_chain_rule) and bool((hot.grad != 0).all()),
)
claim("The operation in which the gradient dies is the argmax.", culprit == "argmax")

# %% [markdown]
# ## Quiz
#
# Three questions; each answer gets its reason. **Next:** [03 · net0 through
# net1](03_net0_through_net1.ipynb) leaves the argmax out, trains net0 through the simplex, and has
# a surprise at the end.

# %%
quiz("02")
