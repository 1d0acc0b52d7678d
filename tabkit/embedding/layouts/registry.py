"""What every layout is: its call in three steps, the kinds of input it takes, its name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tabkit.schema import check_cardinalities, one_hot_simplex

Kind = Literal["codes", "simplex"]
Operand = Tensor | tuple[Tensor, ...]  # the tables, as a layout multiplies or reads them
Packed = Tensor | tuple[Tensor, ...]  # a batch, as a layout takes it

_REGISTRY: dict[str, type["Layout"]] = {}


@dataclass(eq=False)
class Layout(ABC):
    """A way to lay out categorical columns for their embedding; all ways give one result.

    The three steps are apart, because a frozen net prepares its tables once, and a net that
    outputs the packed form need not pack.

    Parameters
    ----------
    cardinalities
        K of each column.
    widths
        D of each column.

    Class attributes
    ----------------
    name : what `make` calls it
    takes : the kinds of input that it reads as they are. Where that is the simplex only, codes
        become one-hots; where it is codes only, a simplex is an error
    needs_one_width : whether the columns' embeddings must be equally wide

    Shape
    -----
    Input: codes (B, C) int64, or a simplex (B, F) in the tables' dtype and any memory order;
    tables: for each column (K, D). Output: (B, C*D).

    Gradient
    --------
    Exact, for the tables and for a simplex, its shares of 0 included, unless a layout says else.

    Raises
    ------
    ValueError
        If a cardinality or a width is below 1, or the layout needs one width and there are more.

    Examples
    --------
    >>> layout = make("padded", cardinalities=(3, 2), widths=(4, 4))
    >>> tables = torch.randn(3, 4), torch.randn(2, 4)
    >>> operand = layout.prepare(tables)  # once, where the tables are frozen
    >>> packed = layout.pack(torch.tensor([[0.0, 0.5, 0.5, 1.0, 0.0]]))
    >>> mixed = layout.mix(packed, operand)
    >>> torch.allclose(mixed[0, :4], (tables[0][1] + tables[0][2]) / 2)
    True
    """

    name: ClassVar[str]
    takes: ClassVar[tuple[Kind, ...]] = ("simplex",)
    needs_one_width: ClassVar[bool] = False

    cardinalities: Sequence[int]
    widths: Sequence[int]

    def __post_init__(self) -> None:
        self.cardinalities = check_cardinalities(self.cardinalities)
        self.widths = tuple(self.widths)
        if len(self.widths) != len(self.cardinalities) or min(self.widths) < 1:
            raise ValueError(
                f"{len(self.cardinalities)} columns need as many widths >= 1, not {self.widths}"
            )
        if self.needs_one_width and len(set(self.widths)) > 1:
            raise ValueError(
                f"the layout {self.name!r} needs columns of one width, not {self.widths}; "
                f"{_such_as(lambda layout: not layout.needs_one_width)} take any"
            )

    def __call__(
        self, categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"], tables: Sequence[Tensor]
    ) -> Float[Tensor, "B CD"]:
        """Prepares, packs and mixes."""
        operand = self.prepare(tables)
        return self.mix(self.pack(categorical, dtype=tables[0].dtype), operand)

    def prepare(self, tables: Sequence[Tensor]) -> Operand:
        """The tables as `mix` takes them; differentiable. It may share their memory.

        Raises
        ------
        ValueError
            If the tables are not those of the columns.
        """
        shapes = tuple(tuple(table.shape) for table in tables)
        expected = tuple(zip(self.cardinalities, self.widths, strict=True))
        if shapes != expected:
            raise ValueError(f"the tables' shapes are {shapes}, not {expected}")
        return self._prepare(tuple(tables))

    def pack(
        self,
        categorical: Int64[Tensor, "B C"] | Float[Tensor, "B F"],
        *,
        dtype: torch.dtype | None = None,
    ) -> Packed:
        """A batch as `mix` takes it; differentiable for a simplex.

        That a block sums to 1 and a code is in range is for the caller to check.

        Parameters
        ----------
        dtype
            Of the one-hots, where codes become some; torch's default if not given.

        Raises
        ------
        TypeError
            If it is a simplex, and the layout takes codes only.
        ValueError
            If it is not as wide as the columns.
        """
        soft = categorical.is_floating_point()
        width = sum(self.cardinalities) if soft else len(self.cardinalities)
        if categorical.dim() != 2 or categorical.shape[1] != width:
            kind = "a simplex" if soft else "codes"
            shape = tuple(categorical.shape)
            raise ValueError(f"{kind} of these columns are (B, {width}), not {shape}")
        if not soft:
            return self._pack_codes(categorical, dtype)
        if "simplex" not in self.takes:
            raise TypeError(
                f"the layout {self.name!r} takes codes, not a simplex; "
                f"{_such_as(lambda layout: 'simplex' in layout.takes)} take one"
            )
        return self._pack_simplex(categorical)

    @abstractmethod
    def mix(self, packed: Packed, operand: Operand) -> Float[Tensor, "B CD"]:
        """The embeddings of the batch, side by side."""

    @abstractmethod
    def _prepare(self, tables: tuple[Tensor, ...]) -> Operand: ...

    def _pack_simplex(self, simplex: Float[Tensor, "B F"]) -> Packed:
        return simplex

    def _pack_codes(self, codes: Int64[Tensor, "B C"], dtype: torch.dtype | None) -> Packed:
        return self._pack_simplex(one_hot_simplex(codes, self.cardinalities, dtype=dtype))


def _such_as(fits: Callable[[type[Layout]], bool]) -> str:
    return ", ".join(repr(name) for name, layout in _REGISTRY.items() if fits(layout))


def register(name: str) -> Callable[[type[Layout]], type[Layout]]:
    """Class decorator that files a layout under a name."""

    def file(layout: type[Layout]) -> type[Layout]:
        layout.name = name
        _REGISTRY[name] = layout
        return layout

    return file


def names(kind: Kind | None = None) -> tuple[str, ...]:
    """The names that `make` knows, or those that take one kind of input as it is.

    Examples
    --------
    >>> names("codes")
    ('sparse', 'embedding_bag', 'index', 'fused')
    """
    return tuple(n for n, layout in _REGISTRY.items() if kind is None or kind in layout.takes)


def make(name: str, cardinalities: Sequence[int], widths: Sequence[int], **knobs: Any) -> Layout:
    """A layout by name.

    Raises
    ------
    ValueError
        If the name or a knob is unknown, a knob has a bad value, or the layout cannot hold columns
        of these widths.

    Examples
    --------
    >>> make("bucketed", (3, 2, 3), (4, 4, 4), spread=1.5)
    Bucketed(cardinalities=(3, 2, 3), widths=(4, 4, 4), spread=1.5)
    """
    if name not in _REGISTRY:
        raise ValueError(f"no layout is called {name!r}; there are {', '.join(names())}")
    known = [field.name for field in fields(_REGISTRY[name]) if field.kw_only]
    for knob in knobs:
        if knob not in known:
            has = ", ".join(known) if known else "no knobs"
            raise ValueError(f"{name} has no knob {knob!r}; it has: {has}")
    return _REGISTRY[name](cardinalities, widths, **knobs)


class DeviceIndex:
    """A fixed index, copied to each device when first used there.

    Examples
    --------
    >>> DeviceIndex([0, 3]).on(torch.device("cpu"))
    tensor([0, 3])
    """

    def __init__(self, values: Sequence[int]) -> None:
        self.values = torch.tensor(values, dtype=torch.int64, device="cpu")
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Int64[Tensor, " n"]:
        """The index on a device."""
        if device not in self._copies:
            self._copies[device] = self.values.to(device)
        return self._copies[device]


def starts_of(sizes: Sequence[int]) -> list[int]:
    """Where each of some consecutive blocks starts.

    Examples
    --------
    >>> starts_of((3, 2, 4))
    [0, 3, 5]
    """
    return [sum(sizes[:c]) for c in range(len(sizes))]
