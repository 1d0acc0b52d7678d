"""Every claim of the notebooks was tried from five seeds, and holds from each."""

import ast
import math
import sys
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
sys.path.insert(0, str(FOLDER))

import build  # noqa: E402
import claims  # noqa: E402

KEPT = pd.read_csv(claims.KEPT, dtype={"notebook": str})
SEEDS = [f"seed {seed}" for seed in claims.SEEDS]


def claimed():
    """Notebook, sentence and bounds of each claim, as the sources have them."""
    for source in build.sources():
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim":
                bounds = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
                sentence = ast.literal_eval(node.args[0])
                yield source.stem[:2], sentence, bounds.get("at_least"), bounds.get("at_most")


def rounded(bound):
    return None if bound is None or math.isnan(bound) else float(bound)


def test_the_kept_table_has_the_claims_of_the_notebooks_with_their_bounds():
    kept = KEPT[claims.COLUMNS].itertuples(index=False)
    kept = {(name, sentence, rounded(low), rounded(high)) for name, sentence, low, high in kept}
    assert kept == {(n, s, rounded(low), rounded(high)) for n, s, low, high in claimed()}
    assert len(kept) == len(KEPT)


@pytest.mark.parametrize("row", KEPT.to_dict("records"), ids=lambda row: row["notebook"])
def test_the_claim_holds_from_every_seed(row):
    assert row["holds"] == len(SEEDS)
    for seed in SEEDS:
        low, high = (row[side] for side in ("at_least", "at_most"))
        if math.isnan(low) and math.isnan(high):
            assert row[seed] == 1
        assert math.isnan(low) or row[seed] >= low
        assert math.isnan(high) or row[seed] <= high


def test_a_claim_that_fails_is_counted(capsys):
    found = pd.DataFrame(
        {
            **{"notebook": "01", "claim": ["A.", "A.", "B."], "at_least": [0.5, 0.5, None]},
            **{"at_most": None, "holds": [True, False, True], "found": [0.6, 0.4, None]},
            **{"seed": [0, 1, 0], "seconds": 1.0},
        }
    )
    table = claims.table(found).set_index("claim")
    assert table["holds"].to_dict() == {"A.": 1, "B.": 1}
    assert table.loc["A.", ["seed 0", "seed 1"]].to_list() == [0.6, 0.4]
    assert table.loc["B.", "seed 0"] == 1


def test_claims_of_some_notebooks_take_the_place_of_their_own_and_of_no_others(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(claims, "KEPT", tmp_path / "claims.csv")
    columns = ["notebook", "claim", "holds"]
    kept = [["01", "A.", 5], ["02", "B.", 5], ["02", "C.", 5], ["03", "D.", 5]]
    pd.DataFrame(kept, columns=columns).to_csv(claims.KEPT, index=False)
    claims.keep(pd.DataFrame([["02", "E.", 4]], columns=columns))
    found = pd.read_csv(claims.KEPT, dtype={"notebook": str}).to_numpy().tolist()
    assert found == [["01", "A.", 5], ["02", "E.", 4], ["03", "D.", 5]]
