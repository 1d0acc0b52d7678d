"""What a spreadsheet would run as a formula is text if one asks for it, and said if not."""

import numpy as np
import pandas as pd
import pytest

from tabkit.commands.writing import escaped, write_file

FORMULAS = ["=1+2", "+A1", "-A1", "@SUM(A1)", "\tx", "\r=x", "=", "-"]
DATA = ["a=b", "", " =1", "-1.5", "+3", "-inf", "'=1"]


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_only_text_that_is_a_formula_is_escaped(dtype):
    cells = [*FORMULAS, *DATA, None]
    frame = pd.DataFrame({"=name": pd.Series(cells, dtype=dtype), "x": np.arange(-5.0, 11)})
    safe, found = escaped(frame)
    assert found == len(FORMULAS) + 1  # and a name
    assert safe["x"].equals(frame["x"])
    wanted = [*(f"'{cell}" for cell in FORMULAS), *DATA]
    assert safe["'=name"].tolist()[:-1] == wanted
    assert pd.isna(safe["'=name"].iloc[-1])


def test_numbers_are_never_escaped():
    frame = pd.DataFrame(
        {"i": [-1, 2], "f": [-1.5, 2], "o": pd.Series([-1, "(other)"], dtype=object)}
    )
    safe, found = escaped(frame)
    assert found == 0
    pd.testing.assert_frame_equal(safe.astype(object), frame.astype(object))


def test_files_stay_data_unless_one_asks_and_then_it_is_said(tmp_path, capsys):
    frame, file = pd.DataFrame({"a": ["=1", "x"], "b": [-1, 2]}), tmp_path / "rows.csv"
    write_file(frame, file)
    assert file.read_text() == "a,b\n=1,-1\nx,2\n"
    said = capsys.readouterr().err
    assert "would run 1 cells of" in said and "--escape" in said
    write_file(frame, file, escape=True)
    assert file.read_text() == "a,b\n'=1,-1\nx,2\n"
    write_file(frame, file.with_suffix(".parquet"))
    assert capsys.readouterr().err == ""
