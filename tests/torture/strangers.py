"""Schemas and scales from strangers: each is valid or refused in a sentence, at small cost.

Whatever comes out is what its plain values say: written again, they are the same. Each is read from
JSON, as a file is, and as the plain values themselves.
"""

import copy
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from tabkit import Schema
from tabkit.schema.saving import loads, plain_scale, plain_schema, scale_of, schema_of

TRIES = 6_000
SECONDS, MEGABYTES = 1.0, 500  # of a core for one reading; of all together
LEAVES = [
    *(None, True, False, 0, 1, -1, 2, 100_000_000, 2**53, 2**63, -(2**64), 10**400, 0.5, -0.0),
    *(1e308, 5e-324, "", "a", "1", "(missing)", "(other)", "\x00", "x" * 10_000, "\ud800", "é"),
    *([], {}, [[]], [None], {"a": 1}, ["a", "a"], ["a", 1], [True, 1], [1.5, 2], list(range(9))),
    *(["2013-01-01", "2014-01-01"], [10**400, 2], {"levels": "object", "ordered": True}),
    *({"levels": "S1000000000", "ordered": False}, {"levels": "category", "ordered": False}),
]
DTYPES = [
    *("object", "str", "string", "int8", "uint64", "Int64", "UInt8", "bool", "boolean", "float16"),
    *("float64", "Float32", "float128", "complex128", "category", "datetime64[ns]", "timedelta64"),
    *("datetime64[ns, Europe/Berlin]", "period[M]", "interval[int64]", "Sparse[int64, 0]", "V9"),
    *("int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "large_string[pyarrow]", "S1000000000"),
    *("timestamp[ns][pyarrow]", "decimal128(5, 2)[pyarrow]", "date32[day][pyarrow]", "U1000000000"),
    *("i4,i4", "(100000000,)i4", "O8", "?", ">i8", "a7", "[", "Sparse[", "interval[a, b, c]"),
    *("dictionary<values=string, indices=int32, ordered=0>[pyarrow]", "x" * 5_000, "M8[1000000s]"),
]


def schemas() -> list[dict]:
    """Plain values of schemas with columns of many kinds."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "text": draw.choice(["a", "b", "ç"], 40),
            "gaps": pd.Series(draw.choice(["a", "b", None], 40), dtype=object),
            "whole": draw.integers(0, 4, 40).astype("int16"),
            "nullable": pd.Series(draw.choice([1, 2, None], 40), dtype="Int64"),
            "yes": draw.choice([True, False], 40),
            "levels": pd.Categorical(draw.choice(["low", "high"], 40), ordered=True),
            "x": draw.normal(size=40),
            "n": draw.integers(0, 90, 40),
        }
    )
    names = list(frame)
    first = Schema.infer(frame, categorical=names[:6], continuous=names[6:], other={"whole": 0})
    second = Schema.infer(frame[["x", "yes", "n"]], categorical=["yes"], continuous=["x", "n"])
    return [plain_schema(first), plain_schema(second)]


def places(plain, path=()):
    """The path of every value within plain values."""
    yield path
    keys = range(len(plain)) if isinstance(plain, list) else plain
    for key in keys if isinstance(plain, dict | list) else ():
        yield from places(plain[key], (*path, key))


def at(plain, path):
    for key in path:
        plain = plain[key]
    return plain


def mutated(plain, draw: random.Random):
    """Plain values with one to three changes."""
    plain = copy.deepcopy(plain)
    for _ in range(draw.choice([1, 1, 2, 3])):
        path = draw.choice(list(places(plain)))
        if not path:
            continue
        parent, key = at(plain, path[:-1]), path[-1]
        changes = [replace, replace, replace, remove, another, moved]
        draw.choice(changes)(plain, parent, key, draw)
    return plain


def replace(plain, parent, key, draw):
    parent[key] = copy.deepcopy(draw.choice(DTYPES if key in ("dtype", "levels") else LEAVES))


def remove(plain, parent, key, draw):
    del parent[key]


def another(plain, parent, key, draw):
    """A surplus field, or an element twice."""
    if isinstance(parent, dict):
        parent[draw.choice(["more", "", "name", "kind"])] = copy.deepcopy(draw.choice(LEAVES))
    else:
        parent.insert(key, copy.deepcopy(parent[key]))


def moved(plain, parent, key, draw):
    """What stands elsewhere."""
    parent[key] = copy.deepcopy(at(plain, draw.choice(list(places(plain)))))


def text_of(plain, draw: random.Random) -> str:
    """JSON of it, now and then with a fault in the text itself."""
    text = json.dumps(plain)
    fault = draw.random()
    if fault < 0.05:
        return text[: draw.randrange(len(text))]
    if fault < 0.15:
        place = draw.randrange(len(text))
        return text[:place] + draw.choice('{}[]",:0eN\\ ') + text[place + 1 :]
    if fault < 0.2:
        return text.replace('"name"', '"name": "twice", "name"', 1)
    if fault < 0.25:
        return text.replace("1", draw.choice(["NaN", "-Infinity", "1e999", "[" * 5_000]), 1)
    return text


def outcome(plain: Callable, read: Callable, again: Callable) -> tuple[str, str]:
    """What became of plain values, and what is wrong about that."""
    start = time.thread_time()
    try:
        found = read(plain())
    except ValueError as error:
        kind, wrong = "refused", "" if len(str(error).split()) > 3 else f"no sentence: {error}"
    except Exception as error:
        kind, wrong = "raised", f"{type(error).__name__}: {error}"
    else:
        kind, wrong = "valid", "" if again(found) == plain() else "it says something else"
    took = time.thread_time() - start
    return kind, wrong or (f"took {took:.1f} s of a core" if took > SECONDS else "")


def trial(plain, draw: random.Random) -> list[tuple[str, str]]:
    """As a text and as plain values; as a schema, and as a scale alone."""
    text = text_of(plain, draw)
    numbers = plain.get("continuous") if isinstance(plain, dict) else plain
    return [
        outcome(lambda: loads(text), schema_of, plain_schema),
        outcome(lambda: plain, schema_of, plain_schema),
        outcome(lambda: numbers, scale_of, plain_scale),
    ]


def peak() -> int:
    """The most memory that this process has held, in megabytes."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def run(seed: int, minutes: float) -> dict[str, int | float | str]:
    """6,000 mutated schemas, or as many as there is time for."""
    draw, known, found = random.Random(seed), schemas(), Counter()
    before, end = peak(), time.monotonic() + 60 * minutes
    for number in range(TRIES):
        if time.monotonic() > end:
            break
        plain = mutated(draw.choice(known), draw)
        found["tried"] += 1
        for kind, wrong in trial(plain, draw):
            found[kind] += 1
            if wrong:
                found["failures"] += 1
                print(f"strangers, seed {seed}, {number}: {wrong[:300]}")
    grown = peak() - before
    if grown > MEGABYTES:
        found["failures"] += 1
        print(f"strangers, seed {seed}: {grown} MB more")
    counts = {name: found[name] for name in ("tried", "valid", "refused", "raised", "failures")}
    return counts | {"megabytes_more": grown}


if __name__ == "__main__":
    print(run(seed=0, minutes=5))
