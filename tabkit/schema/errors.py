"""The one error that bad data raises."""

from typing import Any

_ABSENT = object()


class DataError(ValueError):
    """Data that does not fit: what is wrong, where, and what to do.

    Attributes
    ----------
    column : str | None
        Name of the column.
    row : int | None
        Position of the first bad row, counted from 0 (``frame.iloc[row]``).
    value : object
        The offending value, or ``None`` if no single value is at fault.
    remedy : str
        What to do about it.

    Examples
    --------
    >>> print(DataError("is not finite", "drop the row", column="temp", row=3, value=float("inf")))
    column 'temp', row 3, value inf: is not finite. Remedy: drop the row
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        column: str | None = None,
        row: int | None = None,
        value: Any = _ABSENT,
    ) -> None:
        super().__init__(problem, remedy)  # what `pickle` makes it from again, in another process
        self.column, self.row, self.remedy = column, row, remedy
        self.value = None if value is _ABSENT else value
        where = [] if column is None else [f"column {column!r}"]
        where += [] if row is None else [f"row {row}"]
        where += [] if value is _ABSENT else [f"value {value!r}"]
        self._text = f"{', '.join(where)}{': ' if where else ''}{problem}. Remedy: {remedy}"

    def __str__(self) -> str:
        return self._text
