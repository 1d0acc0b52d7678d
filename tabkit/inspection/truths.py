"""What is known of categories, as distances between them: the truth that embeddings are held to."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from tabkit.data import Dataset
from tabkit.extras import imports_for
from tabkit.inspection.vectors import category_facts, find_column

with imports_for("inspection"):
    from scipy.spatial.distance import cdist

Distances = Float[np.ndarray, "K K"]
EARTH = 6371.0  # km, mean radius
PERIODS = {"hour": 24, "month": 12, "weekday": 7}
NEW_YORK = (40.64, -73.78)  # degrees north and east: JFK


def line(values: np.ndarray) -> Distances:
    """``|a - b|``, in the values' unit; NaN where a value is."""
    values = np.asarray(values, dtype=np.float64)
    return np.abs(values[:, None] - values)


def ring(values: np.ndarray, *, period: int | float) -> Distances:
    """The shorter way round a ring of the given length.

    Examples
    --------
    >>> ring(np.array([0, 6, 23]), period=24)[0]
    array([0., 6., 1.])
    """
    apart = line(values) % period
    return np.minimum(apart, period - apart)


def great_circle(latitude: np.ndarray, longitude: np.ndarray) -> Distances:
    """Great-circle distances in km of places in degrees, by the haversine formula.

    Examples
    --------
    >>> great_circle(np.array([0, 0]), np.array([0, 180])).round()[0]
    array([    0., 20015.])
    """
    north, east = (np.radians(np.asarray(a, dtype=np.float64)) for a in (latitude, longitude))
    half = np.sin((north[:, None] - north) / 2) ** 2
    half += np.cos(north)[:, None] * np.cos(north) * np.sin((east[:, None] - east) / 2) ** 2
    return 2 * EARTH * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def points(coordinates: Float[np.ndarray, "K P"]) -> Distances:
    """Euclidean distances of coordinates; NaN where one is."""
    coordinates = np.asarray(coordinates, dtype=np.float64)
    return cdist(coordinates, coordinates)


def profiles(counts: Float[np.ndarray, "K J"]) -> Distances:
    """Total variation between distributions: half the sum of the differences of their shares.

    Row k of `counts` says how often category k meets each of J things, such as a carrier each
    manufacturer's planes. 0 is the same mixture, 1 nothing in common; NaN for an empty row.
    """
    with np.errstate(invalid="ignore"):
        shares = counts / counts.sum(axis=1, keepdims=True)
    return cdist(shares, shares, "cityblock") / 2


def known_truths(dataset: Dataset) -> dict[str, dict[str, Distances]]:
    """By categorical column, by name: all distances that the data set knows.

    For the columns of any data set: `outcomes`, the distance of the mean outcomes of the
    categories' training rows, in standard deviations; and `frequency`, the difference of the
    logarithms of their counts. For `flights` and `planted` besides, what its author knows.
    Unknown distances are NaN.
    """
    own = {"flights": flights_truths, "planted": planted_truths}.get(dataset.name)
    found = own(dataset) if own and dataset.truth else {}  # your own data may have that name
    for number, spec in enumerate(dataset.schema.categorical):
        count = category_facts(dataset, number, spec)["count"].to_numpy()
        logs = np.log(np.where(count > 0, count, np.nan))
        outcomes = points(means_by_category(dataset, number, dataset.outcomes))
        common = {"outcomes": outcomes, "frequency": line(logs)}
        found[spec.name] = found.get(spec.name, {}) | common
    return found


def means_by_category(
    dataset: Dataset, number: int, values: Float[torch.Tensor, "B O"]
) -> Float[np.ndarray, "K O"]:
    """Means of some values over the training rows of each category; NaN if it has none."""
    codes = dataset.rows.codes[dataset.train, number].numpy()
    frame = pd.DataFrame(values[dataset.train].double().numpy())
    return (
        frame.groupby(codes).mean().reindex(range(dataset.schema.cardinalities[number])).to_numpy()
    )


def flights_truths(dataset: Dataset) -> dict[str, dict[str, Distances]]:
    """Places and time zones of destinations, the clock and the calendar, fleets and seats."""
    _, spec = find_column(dataset, "dest")
    facts = dataset.truth["dest"].reindex(list(spec.categories))
    wind = _numbers(dataset, "wind_dir")  # in degrees; 0 means calm, which is none
    north, east = (facts[name].to_numpy(dtype=float) for name in ("dest_lat", "dest_lon"))
    from_home = great_circle(np.append(north, NEW_YORK[0]), np.append(east, NEW_YORK[1]))[-1, :-1]
    return {
        "dest": {
            "great circle (km)": great_circle(north, east),
            "distance from New York (km)": line(from_home),
            "time zone (h)": line(facts["dest_tz"].to_numpy(dtype=float)),
        },
        **{name: _cyclic(dataset, name, period) for name, period in PERIODS.items()},
        "wind_dir": {"ring": ring(np.where(wind == 0, np.nan, wind), period=360)},
        "carrier": _fleet(dataset, "carrier", "manufacturer"),
        "manufacturer": _fleet(dataset, "manufacturer", "carrier"),
    }


def _cyclic(dataset: Dataset, column: str, period: int | float) -> dict[str, Distances]:
    values = _numbers(dataset, column)
    return {"order": line(values), "ring": ring(values, period=period)}


def _numbers(dataset: Dataset, column: str) -> np.ndarray:
    """A column's categories as numbers; NaN for `missing` and `other`."""
    _, spec = find_column(dataset, column)
    values = np.full(spec.cardinality, np.nan)
    values[: len(spec.categories)] = spec.categories
    return values


def _fleet(dataset: Dataset, column: str, other: str) -> dict[str, Distances]:
    """Which carriers fly whose planes, and how many seats these have."""
    (a, spec), (b, partner) = find_column(dataset, column), find_column(dataset, other)
    codes = dataset.rows.codes[dataset.train].numpy()
    met = np.zeros((spec.cardinality, partner.cardinality))
    np.add.at(met, (codes[:, a], codes[:, b]), 1)
    at = [c.name for c in dataset.schema.continuous].index("seats")
    seats = means_by_category(dataset, a, dataset.rows.continuous[:, at : at + 1])
    unit = dataset.schema.continuous[at].std
    return {f"fleet: {other}s in common": profiles(met), "seats": line(seats[:, 0] * unit)}


def planted_truths(dataset: Dataset) -> dict[str, dict[str, Distances]]:
    """The places where the categories were planted."""
    return {
        name: {
            f"planted: {facts['place'].iloc[0]}": points(facts.filter(regex=r"^x\d+$").to_numpy())
        }
        for name, facts in dataset.truth.items()
    }
