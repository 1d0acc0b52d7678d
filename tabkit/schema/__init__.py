"""Column kinds, `Schema`, and every check on input data.

A `Schema` says what the columns of a table are. `Schema.encode` turns a DataFrame into
`Rows`: codes (B, C) and standardised numbers (B, N). `Schema.decode` turns them back.
"""

from tabkit.schema.checks import (
    check_cardinalities,
    check_codes,
    check_mask,
    check_signal,
    check_simplex,
)
from tabkit.schema.columns import Categorical, Category, Continuous
from tabkit.schema.errors import DataError
from tabkit.schema.fixed import Fixed
from tabkit.schema.frames import as_frame, check_frame, check_names, list_names, missing_column
from tabkit.schema.scale import Scale, in_units, numbers_of, rescaled
from tabkit.schema.table import Rows, Schema
from tabkit.schema.values import (
    DATES,
    MAX_WHOLE,
    looks_like_an_identifier,
    plain,
    value_counts,
    value_kind,
)

__all__ = ["Categorical", "Continuous", "DataError", "Fixed", "Rows", "Schema"]
