"""A reader's answer beside the right one, in words: what is wrong, where, and by how much."""

from typing import Any

import numpy as np
import torch


class Wrong(AssertionError):
    """An answer is not right; the message says how."""


KINDS = {bool: "True or False", str: "a word"}


def same(
    found: Any, wanted: Any, what: str = "the answer", *, tolerance: int | float = 1e-4
) -> float:
    """Their largest difference, if an answer is the right one in whatever form.

    Tensors, arrays, frames, lists and numbers are compared as numbers, whatever their precision.

    Parameters
    ----------
    found, wanted
        The reader's, and the right one.
    what
        How the message calls it.
    tolerance
        How far the two may lie apart, over the largest number of the right one, or over 1; 0 asks
        for every bit.

    Raises
    ------
    Wrong
        If it is another kind of thing, of another shape, or has other values: the message says
        which, where, by how much, and whether it is a known slip (a sign, a factor, a transpose).

    Examples
    --------
    >>> same([1.0, 2.0], torch.tensor([1, 2]))
    0.0
    >>> same([2.0, 4.0], torch.tensor([1, 2]))
    Traceback (most recent call last):
    tabkit.lesson.comparing.Wrong: the answer is 2 times the right one.
    """
    if isinstance(wanted, bool | str):
        return _same_word(found, wanted, what)
    ours, right = as_numbers(found, what), as_numbers(wanted, what)
    if ours.shape != right.shape:
        raise Wrong(f"{what} has the shape {ours.shape}, not {right.shape}{reshaped(ours, right)}")
    if ours.size == 0:
        return 0.0
    if bad := int((~np.isfinite(ours) & np.isfinite(right)).sum()):
        raise Wrong(f"{what} has {bad} of {ours.size} numbers that are NaN or infinite.")
    apart = np.where(ours == right, 0.0, np.abs(ours - right))
    scale = max(1.0, float(np.abs(right[np.isfinite(right)]).max(initial=0)))
    if (largest := float(apart.max())) > tolerance * scale:
        raise Wrong(slip(ours, right, what, tolerance) or differs(ours, right, apart, what))
    return largest


def is_same(found: Any, wanted: Any) -> bool:
    """Whether an answer is this one."""
    try:
        same(found, wanted)
    except Wrong:
        return False
    return True


def as_numbers(value: Any, what: str) -> np.ndarray:
    """Any form of numbers as an array of float64; words, functions and the like are refused."""
    numbers = value
    if isinstance(value, torch.Tensor):
        numbers = value.detach().cpu()
        numbers = numbers.to_dense() if value.is_sparse else numbers
        numbers = numbers.double() if value.dtype == torch.bfloat16 else numbers
    elif isinstance(value, list | tuple) and any(isinstance(v, torch.Tensor) for v in value):
        numbers = [as_numbers(each, what) for each in value]
    if callable(value):
        raise Wrong(f"{what} is a function ({name_of(value)}): call it.")
    try:
        array = np.asarray(numbers)
        if array.dtype.kind in "USO" and any(isinstance(v, str) for v in array.ravel()):
            raise ValueError
        return array.astype(np.float64)
    except (ValueError, TypeError):
        raise Wrong(f"{what} is no numbers but {kind_of(value)}.") from None


def _same_word(found: Any, wanted: bool | str, what: str) -> float:
    value = found.item() if hasattr(found, "item") and getattr(found, "ndim", 1) == 0 else found
    if isinstance(value, type(wanted)) and not isinstance(value, np.ndarray):
        if value != wanted:
            raise Wrong(f"{what} is not {value!r}.")
        return 0.0
    quoted = isinstance(value, str) and value in ("True", "False")
    raise Wrong(
        f"{what} should be {KINDS[type(wanted)]}, and is {kind_of(value)}."
        + " Leave the quotes away." * quoted
    )


def kind_of(value: Any) -> str:
    """What a thing is, for a message: ``the word 'False'``, ``a tensor of shape (2, 3)``."""
    if isinstance(value, str):
        return f"the word {value!r}"
    if hasattr(value, "shape"):
        name = "tensor" if isinstance(value, torch.Tensor) else type(value).__name__
        return f"a {name} of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def name_of(value: Any) -> str:
    """A function's name."""
    return getattr(value, "__name__", type(value).__name__)


def reshaped(ours: np.ndarray, right: np.ndarray) -> str:
    """What turned the shape, if that can be seen."""
    if ours.ndim == 2 and ours.T.shape == right.shape and np.allclose(ours.T, right, atol=1e-5):
        return ": it is the transpose."
    if ours.size == right.size:
        alike = np.allclose(ours.ravel(), right.ravel(), atol=1e-5)
        return ": the numbers are right, their shape is not." if alike else "."
    return ": one number for all." if ours.size == 1 else "."


def slip(ours: np.ndarray, right: np.ndarray, what: str, tolerance: int | float) -> str:
    """The sentence of a slip that people often make, if the answer shows one."""

    def alike(a: Any, b: Any) -> bool:
        return bool(np.allclose(a, b, rtol=1e-4, atol=max(tolerance, 1e-6)))

    if not np.isfinite(right).all() or not np.any(right):
        return ""
    factor = float((ours * right).sum() / (right * right).sum())
    off = float((ours - right).mean())
    square = ours.ndim == 2 and ours.shape[0] == ours.shape[1]
    slips = {
        "is 0 everywhere": not np.any(ours),
        "has the wrong sign": alike(ours, -right),
        f"is {factor:.3g} times the right one": telling(factor, ours.size)
        and alike(ours, factor * right),
        f"is off by {off:.3g} everywhere": ours.size > 1 and alike(ours - off, right),
        "is the transpose of the right one": square and alike(ours.T, right),
        "has the right numbers in the wrong places": ours.size > 1
        and alike(np.sort(ours, axis=None), np.sort(right, axis=None)),
    }
    return next((f"{what} {slip}." for slip, seen in slips.items() if seen), "")


def telling(factor: float, size: int) -> bool:
    """Whether a factor says anything: of one number, twice or half or a whole number of times."""
    whole = abs(factor - round(factor)) < 1e-4 and round(factor) > 1
    return abs(factor) > 1e-3 and (size > 1 or whole or abs(factor - 0.5) < 1e-4)


def differs(ours: np.ndarray, right: np.ndarray, apart: np.ndarray, what: str) -> str:
    """By how much an answer is off, and where."""
    if ours.size == 1:
        return f"{what} is {ours.item():.4g}; that is off by {apart.item():.3g}."
    place = [int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape)]
    wrong = int((apart > 1e-6).sum())
    return (
        f"{what} differs in {wrong} of {ours.size} numbers, most at {place}: "
        f"{ours[tuple(place)]:.4g} is off by {apart.max():.2g}."
    )
