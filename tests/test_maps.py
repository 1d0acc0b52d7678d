"""Maps of embeddings: still and interactive figures show the numbers that they were given."""

import base64
import dataclasses
import html
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex

from tabkit import inspection, plots
from tabkit.inspection import Projection, Vectors
from tabkit.plots.maps.categories import SIZE, CategoryMap, category_maps_static
from tabkit.plots.maps.labels import Room
from tabkit.plots.maps.rows import SEVEN, colouring, row_maps
from tabkit.plots.palette import BLUE, ORANGE

DRAW = np.random.default_rng(0)
LETTERS = [f"<{c}&>" if c == "b" else f"port {c}" for c in "abcdefghijkl"]


def vectors(names=LETTERS, **facts):
    count = np.arange(len(names), 0, -1) ** 4
    facts = pd.DataFrame({"count": count, **facts}, index=pd.Index(names, name="port"))
    return Vectors("ports, embedding table", DRAW.normal(size=(len(names), 3)), facts)


def projection(of, dimensions=2, method="pca"):
    return Projection(of, method, of.values[:, :dimensions].astype(float), 0.91, 0.82, 4)


PORTS = vectors(
    lat=[*DRAW.uniform(25, 45, 11), np.nan], lon=[*DRAW.uniform(-120, -70, 11), np.nan], kind="x"
)
MAP = projection(PORTS)
SMALL = projection(vectors(["x", "y", "z", "w"]), method="umap")
SOLID = projection(PORTS, 3)
ROWS = projection(
    Vectors(
        "60 rows",
        DRAW.normal(size=(60, 3)),
        pd.DataFrame(
            {
                "hour": np.tile([7, 5, 6], 20),
                "temp": np.linspace(-3.0, 30.0, 60),
                "dest": [*"aaaabbbcc", *(f"city {i}" for i in range(51))],
                "gate": pd.array([1, None] * 30, dtype="Int64"),
            },
            index=pd.Index(range(60), name="row"),
        ),
    ),
    method="umap",
)
SCORES = pd.DataFrame(
    {
        "column": ["dest", "dest", "hour"],
        "truth": ["km", "km", "ring"],
        "view": ["table", "output", "table"],
        "correlation": [0.42, 0.89, -0.11],
        "correlation_p": [0.005, 0.05, 0.7],
        "neighbour_ratio": [0.5, 0.4, 1.1],
        "neighbour_p": [0.3, 0.001, 0.02],
    }
)
AGREEMENT = pd.DataFrame(
    {
        "column": ["dest", "dest"],
        "view": ["table", "first_layer"],
        "overlap": [0.31, 0.62],
        "chance": [0.05, 0.06],
        "distance_correlation": [0.4, 0.8],
    }
)
MOVED = pd.DataFrame({"count": [0, 9, 99], "moved": [0.125, 1.0, 2.0]})
DECODED = MAP.coordinates[[2, 5]]
LANDED = pd.DataFrame(
    np.hstack([DECODED - [[0.0, 0.5], [0.0, 0.0]], DECODED]), columns=["x", "y", "to_x", "to_y"]
)
NEAREST = inspection.nearest(PORTS, k=1)
HEAVY = ("matplotlib", "plotly", "sklearn")
PICTURES = {
    "category_map": lambda: category_maps_static([MAP]),
    "category_map marked": lambda: marked().picture,
    "category_map 3-D": lambda: category_maps_static([SOLID]),
    "category_maps_static": lambda: category_maps_static([MAP, SMALL]),
    "row_maps": lambda: row_maps(ROWS, list(ROWS.vectors.facts)),
    "scores": lambda: plots.scores(SCORES),
    "agreement": lambda: plots.agreement(AGREEMENT),
    "movement": lambda: plots.movement({"dest": MOVED, "hour": MOVED * 2}),
    "geography": lambda: plots.geography(
        PORTS.facts, {"table": NEAREST, "mine": NEAREST}, latitude="lat", longitude="lon"
    ),
    "landings": lambda: plots.landings(MAP, {"softmax": LANDED, "argmax": LANDED}),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_with_its_description(name, tmp_path):
    picture = PICTURES[name]()
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == picture.alt
    assert f'alt="{html.escape(picture.alt)}"' in data["text/html"]
    assert picture.alt.endswith(".")
    assert re.search(r"\d\.\d|\d km", picture.alt)


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_is_smaller_than_seven_points(name):
    figure = PICTURES[name]().figure
    texts = [t for t in figure.findobj(lambda a: hasattr(a, "get_fontsize")) if t.get_text()]
    assert min(t.get_fontsize() for t in texts) >= 7


def marked(made=None, category="port c", other="port a", k=3):
    made = made or MAP
    return CategoryMap(made, category, other, inspection.nearest(made.vectors, category, k=k))


def points_on(ax, colour):
    """Where there are dots of that colour, in some order."""
    dots = [line.get_xydata() for line in ax.get_lines() if line.get_markerfacecolor() == colour]
    return np.array(sorted(np.concatenate(dots).tolist()))


def test_a_map_shows_its_coordinates_and_its_quality():
    picture = category_maps_static([MAP])
    (ax,) = picture.figure.axes
    np.testing.assert_allclose(points_on(ax, BLUE), sorted(MAP.coordinates.tolist()))
    assert "trustworthiness 0.91, continuity 0.82 (4 neighbours)" in ax.get_title()
    first = inspection.nearest(PORTS, "port a", k=1).iloc[0]
    assert f"port a: {first.neighbour} ({first.distance:.2f})" in picture.alt


def test_only_a_umap_warns_of_distances():
    assert "do not read distances" in category_maps_static([SMALL]).alt
    assert "do not read distances" not in category_maps_static([MAP]).alt


def test_three_dimensions_are_drawn_as_the_first_two_and_say_so():
    assert "first two of three axes" in category_maps_static([SOLID]).alt
    assert "first two" not in category_maps_static([MAP]).alt


def boxes_on(figure):
    figure.draw_without_rendering()
    return {t.get_text(): t.get_window_extent() for ax in figure.axes for t in ax.texts}


@pytest.mark.parametrize("names", [12, 150])
def test_names_never_overlap_whether_something_is_marked_or_not(names):
    crowd = projection(vectors([f"place {i}" for i in range(names)]))
    near = marked(crowd, "place 3", "place 7")
    for figure in (category_maps_static([crowd]).figure, near.picture.figure):
        boxes = list(boxes_on(figure).values())
        assert min(names - 3, 10) < len(boxes) <= names
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    bold = [t.get_text() for t in figure.axes[0].texts if t.get_weight() == "bold"]
    assert set(bold) <= {"place 3", "place 7", *near.near["neighbour"]}
    assert {"place 3", "place 7"} <= set(bold)


def test_the_names_of_what_is_not_marked_lie_on_no_line():
    names = [f"N{i}" for i in range(9)]
    apart = Vectors("t", np.arange(9.0)[:, None] ** 2, pd.DataFrame(index=names))
    row = np.array([[0.0, 0.0], [8.0, 0.0], *([i, 0.0] for i in range(1, 8))])  # all on the line
    one = marked(Projection(apart, "pca", row, 0.91, 0.82, 4), "N0", "N1", k=1)
    figure = one.picture.figure
    boxes, (ax,) = boxes_on(figure), figure.axes
    _, height = ax.transData.transform((0, 0))
    soft = [boxes[t.get_text()] for t in ax.texts if t.get_weight() == "normal"]
    assert len(soft) == 7
    assert not any(box.y0 < height < box.y1 for box in soft)


def test_room_goes_to_the_first_in_order_and_none_is_forced():
    at, radii = np.array([[50.0, 50.0], [51.0, 50.0]]), np.ones(2)
    wide = ["a very long name of a place"] * 2
    right, left = np.array([0.0, 44.0, 300.0, 56.0]), np.array([-200.0, 44.0, 100.0, 56.0])
    narrow = np.array([0.0, 0.0, 60.0, 60.0])
    for order, frame, first in (([1, 0], right, [1]), ([0, 1], left, [0]), ([1, 0], narrow, [])):
        room = Room(at, wide, radii, frame, 8.0)
        room.find(order)
        assert list(room.found) == first


def test_a_chosen_category_is_joined_to_its_nearest():
    one = marked()
    (ax,) = one.picture.figure.axes
    ends = [line.get_xydata()[1].tolist() for line in ax.get_lines() if line.get_linestyle() == "-"]
    places = dict(zip(PORTS.names, MAP.coordinates.tolist(), strict=True))
    assert ends == [places[n] for n in one.near["neighbour"]]
    marks = {line.get_gid(): line.get_xydata()[0].tolist() for line in ax.get_lines()}
    assert (marks["category"], marks["other"]) == (places["port c"], places["port a"])
    assert all(f"{r.neighbour} ({r.distance:.2f})" in one.words for r in one.near.itertuples())


def test_a_map_keeps_the_proportions_of_a_pca_inside_its_frame():
    (ax,) = marked().picture.figure.axes
    at = ax.transData.transform(MAP.coordinates)
    apart, true = (np.linalg.norm(x[:, None] - x, axis=2) for x in (at, MAP.coordinates))
    np.testing.assert_allclose(apart / apart.max(), true / true.max(), atol=1e-6)
    assert all(ax.get_window_extent().contains(x, y) for x, y in at)


def place_of(svg, what):
    """Where a mark lies in the SVG, or the mixture."""
    found = re.search(rf'{what}"(?:(?!</g>).)*?\sc?x="([\d.]+)" c?y="([\d.]+)"', svg, re.DOTALL)
    return np.array(found.groups(), dtype=float)


def test_a_mixture_is_put_where_the_map_has_its_ends_without_drawing_it_again(monkeypatch):
    one = marked()
    ends = [place_of(one.svg("words"), f'id="{name}') for name in ("category", "other")]
    monkeypatch.setattr(FigureCanvasSVG, "print_svg", None)
    for share in (0.0, 0.25, 1.0):
        svg = one.svg("<words>", share)
        assert svg.startswith('<svg role="img" aria-label="&lt;words&gt;"')
        place = (1 - share) * ends[0] + share * ends[1]
        np.testing.assert_allclose(place_of(svg, 'class="mixture'), place, atol=0.01)
    assert "mixture" not in one.svg("words")
    width, height = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups()
    np.testing.assert_allclose(np.array([width, height], dtype=float) * 96 / 72, SIZE)


def test_numbers_are_clipped_to_percentiles_but_few_whole_numbers_are_not():
    facts = pd.DataFrame({"wide": np.append(np.arange(999.0) / 7, 1e9), "hour": [3, 5] * 500})
    wide, hour = colouring(facts, "wide"), colouring(facts, "hour")
    assert (wide.low, wide.high) == tuple(np.percentile(facts["wide"].astype("f4"), (1, 99)))
    assert (hour.low, hour.high, hour.labels) == (3.0, 5.0, ("3", "5"))
    rain = pd.DataFrame({"rain": [0.0] * 999 + [0.25]})
    assert (colouring(rain, "rain").low, colouring(rain, "rain").high) == (0.0, 0.25)


def test_the_seven_most_frequent_have_a_colour_and_the_rest_is_grey():
    found = colouring(ROWS.vectors.facts, "dest")
    assert found.labels[:3] == ("a", "b", "c")
    assert found.labels[-1] == "47 others"
    assert found.colours[:7] == SEVEN
    assert found.numbers[:9].tolist() == [0] * 4 + [1] * 3 + [2] * 2
    assert (found.numbers == 7).sum() == 47
    assert "a 7%" in row_maps(ROWS, ["dest"]).alt


def test_the_unknown_are_drawn_apart():
    (ax, _) = row_maps(ROWS, ["gate"]).figure.axes
    unknown, known = ax.collections
    assert len(unknown.get_offsets()) == len(known.get_offsets()) == 30
    text = pd.DataFrame({"a": ["x", None]})
    assert colouring(text, "a").labels == ("x", "unknown")


def dots(ax, marker):
    found = [line for line in ax.get_lines() if line.get_marker() == marker]
    return [line for line in found if len(line.get_xdata())]  # but not those of the legend


def test_scores_are_filled_where_they_are_significant():
    left, right = plots.scores(SCORES).figure.axes
    assert [float(d.get_xdata()[0]) for d in dots(left, "^")] == [0.42, -0.11]
    assert [d.get_markerfacecolor() == "none" for d in dots(left, "^")] == [False, True]
    assert [d.get_markerfacecolor() == "none" for d in dots(left, "s")] == [True]
    assert [d.get_markerfacecolor() == "none" for d in dots(right, "^")] == [True, False]
    assert [t.get_text() for t in left.get_yticklabels()] == ["dest: km", "hour: ring"]
    assert "behind net1 0.89 (p 0.050)" in plots.scores(SCORES).alt


def test_agreement_stands_beside_chance():
    left, right = plots.agreement(AGREEMENT).figure.axes
    assert sorted(float(d.get_xdata()[0]) for d in dots(left, "|")) == [0.05, 0.06]
    assert [float(d.get_xdata()[0]) for d in dots(left, "o")] == [0.62]
    assert [float(d.get_xdata()[0]) for d in dots(right, "o")] == [0.8]


def test_movement_has_a_panel_a_column_and_room_for_none():
    picture = plots.movement({"dest": MOVED, "hour": MOVED * 2})
    first, second = picture.figure.axes
    assert first.get_lines()[0].get_xydata().tolist() == [[1, 0.125], [10, 1], [100, 2]]
    assert first.get_ylim() == second.get_ylim()
    assert "the rarest (0 rows) 0.12" in picture.alt


def test_geography_measures_the_lines_that_it_draws():
    facts = pd.DataFrame({"lat": [0.0, 0, 0, np.nan], "lon": [0.0, 1, 3, 9]}, index=list("abcd"))
    links = pd.DataFrame({"name": ["a", "b", "c", "d"], "neighbour": ["b", "c", "d", "a"]})
    picture = plots.geography(facts, {"table": links}, latitude="lat", longitude="lon")
    degree = 6371.0 * np.pi / 180
    title = picture.figure.axes[0].get_title()
    assert f"{1.5 * degree:,.0f} km" in title
    assert f"all pairs {2 * degree:,.0f} km" in picture.alt
    assert len(picture.figure.axes[0].collections[0].get_segments()) == 2
    assert "1 of unknown position" in picture.alt


def test_landings_lead_to_the_decoded_category():
    picture = plots.landings(MAP, {"softmax": LANDED})
    (ax,) = picture.figure.axes
    _, rings, lines, _ = ax.collections
    np.testing.assert_allclose(np.reshape(lines.get_segments(), (2, 4)), LANDED)
    np.testing.assert_allclose(rings.get_offsets(), DECODED)
    assert ax.get_title() == f"softmax: decoded to 2 of {len(MAP.coordinates)} categories"
    assert "softmax 0.25, 2 categories" in picture.alt


def test_a_flat_map_of_landings_is_stretched_and_says_how_far():
    flat = dataclasses.replace(MAP, coordinates=MAP.coordinates * [1.0, 0.05])
    landed = LANDED * [1.0, 0.05, 1.0, 0.05]
    picture = plots.landings(flat, {"softmax": landed, "reinmax": landed})
    first, second = picture.figure.axes
    across, up = np.diff(first.transData.transform([[0, 0], [1, 1]]), axis=0)[0]
    (said,) = re.findall(r"Vertical scale: ([\d.]+) times", picture.figure.get_suptitle())
    assert float(said) == pytest.approx(up / across, rel=0.03)
    assert float(said) > 1.5
    assert first.get_position().y0 > second.get_position().y1


@pytest.fixture(scope="module")
def chooser():
    return plots.category_maps({"port": MAP, "end": SMALL, "solid": SOLID}, k=5)


@pytest.fixture(scope="module")
def rows():
    return plots.row_map(ROWS)


def unpacked(value):
    kind = {"i1": np.int8, "f4": np.float32}[value["dtype"]]
    return np.frombuffer(base64.b64decode(value["bdata"]), kind).astype(float)


def plotted(figure):
    return figure._repr_mimebundle_()["application/vnd.plotly.v1+json"]


@pytest.mark.parametrize("page", [0, 1, 2])
def test_every_choice_holds_the_categorys_own_nearest(chooser, page):
    shown = [MAP, SMALL, SOLID][page]
    menu = plotted(chooser)["layout"]["updatemenus"][page + 1]
    assert [b["label"] for b in menu["buttons"]] == [
        html.escape(n, quote=False) for n in shown.vectors.names
    ]
    k = min(5, len(shown.vectors) - 1)
    for name, button in zip(shown.vectors.names, menu["buttons"], strict=True):
        near = inspection.nearest(shown.vectors, name, k=k)
        values, traces = button["args"]
        assert traces == [4 * page + 1, 4 * page + 2, 4 * page + 3]
        ranks, names, distances, counts = values["cells.values"][2]
        assert [html.unescape(n) for n in names] == near["neighbour"].tolist()
        assert ranks == list(range(1, k + 1))
        assert distances == [f"{d:.3g}" for d in near["distance"]]
        assert counts == [f"{c:,}" for c in near["count"]]
        at = [shown.vectors.names.index(n) for n in [*near["neighbour"], name]]
        for axis, column in zip("xyz", shown.coordinates.T, strict=False):
            np.testing.assert_allclose(unpacked(values[axis][1]), column[at], rtol=1e-6)
            joined = unpacked(values[axis][0]).reshape(k, 2)
            np.testing.assert_allclose(joined[:, 1], column[at[:-1]], rtol=1e-6)
            np.testing.assert_allclose(joined[:, 0], column[at[-1]], rtol=1e-6)


def test_choosing_a_column_shows_its_page_alone(chooser):
    drawn = plotted(chooser)
    for page, button in enumerate(drawn["layout"]["updatemenus"][0]["buttons"]):
        traces, layout = button["args"]
        assert traces["visible"] == [i // 4 == page for i in range(12)]
        assert [layout[f"updatemenus[{i}].visible"] for i in (1, 2, 3)] == [
            i == page for i in range(3)
        ]
        assert "trustworthiness 0.91" in layout["title.subtitle.text"]
        assert layout["xaxis.visible"] is (page < 2)


def test_the_start_is_the_first_column_and_its_most_frequent_category(chooser):
    drawn = plotted(chooser)
    assert [t["visible"] for t in drawn["data"]] == [True] * 4 + [False] * 8
    assert [m["active"] for m in drawn["layout"]["updatemenus"]] == [0, 0, 0, 0]
    assert drawn["data"][3]["header"]["values"][1] == "nearest to port a"
    assert drawn["data"][2]["marker"]["color"][-1] == ORANGE


def test_hovering_names_count_and_nearest(chooser):
    points = plotted(chooser)["data"][0]
    near = inspection.nearest(PORTS, "port c", k=1).iloc[0]
    text = points["hovertext"][2]
    assert text.startswith(f"<b>port c</b><br>{PORTS.facts['count'].iloc[2]:,} rows")
    assert f"1. {html.escape(near.neighbour)} {near.distance:.3g}" in text
    assert "<b>&lt;b&amp;&gt;</b>" in points["hovertext"][1]


def test_points_grow_with_their_count(chooser):
    sizes = chooser.figure.data[0].marker.size
    assert (np.diff(sizes) < 0).all()
    assert sizes[0] < 3 * sizes[-1]


def test_rows_are_coloured_by_every_column(rows):
    (menu,) = plotted(rows)["layout"]["updatemenus"]
    facts = ROWS.vectors.facts
    assert [b["label"] for b in menu["buttons"]] == list(facts)
    for button, column in zip(menu["buttons"], facts, strict=True):
        (values,), scale = button["args"][0]["marker.color"], colouring(facts, column)
        np.testing.assert_array_equal(unpacked(values), scale.numbers)
        assert button["args"][0]["marker.cmax"] == [scale.high]
        (bar,) = button["args"][0]["marker.colorbar"]
        assert bar["ticktext"] == list(scale.labels)
    steps = menu["buttons"][2]["args"][0]["marker.colorscale"][0]
    assert [to_hex(c) for _, c in steps[::2]][:7] == [c.lower() for c in SEVEN]


def test_rows_show_their_values_when_pointed_at():
    points = plots.row_map(ROWS, columns=["dest", "temp"]).figure.data[0]
    assert points.type == "scattergl"
    assert list(points.customdata[0]) == ["0", "a", "-3.0"]
    assert points.hovertemplate.startswith("<b>row %{customdata[0]}</b><br>dest %{customdata[1]}")


def test_twenty_thousand_rows_stay_light():
    n = 20_000
    facts = pd.DataFrame({f"c{i}": DRAW.normal(size=n) for i in range(8)})
    big = projection(Vectors("rows", DRAW.normal(size=(n, 2)), facts))
    assert len(json.dumps(plotted(plots.row_map(big)))) < 5e6


@pytest.mark.parametrize("name", ["chooser", "rows"])
def test_the_bundle_shows_the_figure_the_twin_and_the_words(name, request):
    figure = request.getfixturevalue(name)
    shown, words = figure.outputs
    json.dumps([shown, words])
    assert shown["application/vnd.plotly.v1+json"]["config"]["showSendToCloud"] is False
    assert f'alt="{html.escape(figure.alt)}"' in shown["text/html"]
    assert "data:image/png;base64," in shown["text/html"]
    assert "image/png" not in shown, "JupyterLab would wait for a mouse"
    assert html.escape(figure.alt) in words["text/html"]
    assert shown["text/plain"] == words["text/plain"] == figure.alt == figure.twin.alt


def test_what_draws_loads_when_first_asked_for():
    code = (
        f"import sys; from tabkit import plots; heavy = {HEAVY};"
        "loaded = lambda: [m for m in heavy if m in sys.modules];"
        "print(loaded()); plots.race; print(loaded()); plots.row_map; print(loaded())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == ["[]", "['matplotlib']", str([*HEAVY])]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: marked(other="Mars").picture, "Mars"),
        (lambda: plots.row_map(ROWS, columns=["mass"]), "no column 'mass'.*hour, temp"),
        (lambda: plots.row_map(ROWS, columns=[]), "one or more names"),
        (lambda: plots.row_map(ROWS, columns="dest"), "one or more names"),
        (lambda: plots.category_maps({}), "nothing to draw"),
        (lambda: plots.category_maps({"port": MAP}, k=0), "k must be at least 1, not 0"),
        (lambda: plots.scores(SCORES.drop(columns="truth")), "no column 'truth'"),
        (lambda: plots.scores(SCORES.assign(view="moon")), "not 'moon'"),
        (lambda: plots.agreement(AGREEMENT[:0]), "no rows"),
        (lambda: plots.movement({}), "nothing to draw"),
        (lambda: plots.landings(MAP, {}), "nothing to draw"),
        (
            lambda: plots.geography(
                PORTS.facts,
                {"table": NEAREST.assign(neighbour="Mars")},
                latitude="lat",
                longitude="lon",
            ),
            "'Mars' is not among the facts",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, words):
    with pytest.raises(ValueError, match=words):
        draw()


def test_an_unknown_figure_is_no_attribute():
    with pytest.raises(AttributeError, match="attribute pie"):
        _ = plots.pie
