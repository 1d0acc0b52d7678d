"""A file that holds a table, as a frame."""

import gzip
import zlib
from functools import partial
from pathlib import Path
from textwrap import shorten

import pandas as pd

from tabkit.extras import imports_for
from tabkit.schema import DataError

CSV = ("CSV", partial(pd.read_csv, keep_default_na=False, na_values=[""]))
PARQUET = ("Parquet", pd.read_parquet)
READERS = dict.fromkeys([".csv", ".gz", ".txt"], CSV) | dict.fromkeys([".parquet", ".pq"], PARQUET)
WHOLE = {
    "CSV": "save it as CSV in UTF-8, with a line of names; a spreadsheet's own file is none",
    "Parquet": "get it again: it is not whole, or of another kind",
}


def read_file(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file as it is: only an empty cell is missing.

    Raises DataError if the file is not what its name says, and OSError if there is none.
    """
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path} is neither CSV nor Parquet", "read it, and pass the frame")
    kind, read = READERS[path.suffix.lower()]
    try:
        with imports_for("parquet files"):
            return read(path)
    except (ValueError, OverflowError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        why = shorten(str(error), 200)
        raise DataError(f"{path} cannot be read as {kind}: {why}", WHOLE[kind]) from error
