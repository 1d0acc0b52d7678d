"""The embedding explorer: neighbours, maps and walks as the functions behind it give them."""

import dataclasses
import html
import re
import threading

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from tabkit import DataError, RowEncoder, freeze, from_frame, inspection, widgets
from tabkit.inspection import category_vectors, nearest, project
from tabkit.plots.maps.categories import CategoryMap
from tabkit.plots.mixtures import CategoryWalk
from tabkit.widgets import embedding
from tabkit.widgets.embedding import BEHIND, BENT, WAIT, Later, frequent


@pytest.fixture
def widget(net1, dataset):
    return widgets.embedding_explorer(net1, dataset)


@pytest.fixture
def held_umap(monkeypatch):
    """UMAP, but it waits to be let go, and is a PCA."""
    go = threading.Event()

    def pretended(vectors, *, method):
        if method == "pca":
            return project(vectors, method="pca")
        assert go.wait(20)
        found = project(vectors, method="pca")
        return inspection.Projection(
            vectors, "umap", found.coordinates[:, ::-1], found.trustworthiness, found.continuity, 3
        )

    monkeypatch.setattr(embedding, "project", pretended)
    yield go
    go.set()


def choose(widget, **values):
    for name, value in values.items():
        widget.controls[name].value = value


def shown(widget):
    assert widget.message.value == ""
    return widget.picture.value


def labels(widget):
    return [html.unescape(w) for w in re.findall(r'aria-label="([^"]*)"', shown(widget))]


def words(widget):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown(widget))))


def alerts(widget):
    return [html.unescape(a) for a in re.findall(r'role="alert"[^>]*>([^<]*)', shown(widget))]


def wait_for_maps(before):
    for thread in set(threading.enumerate()) - before:
        thread.join(20)


def dot(widget):
    """Where the mixture is drawn."""
    found = re.search(r'class="mixture" cx="([\d.]+)" cy="([\d.]+)"', shown(widget))
    return None if found is None else np.array(found.groups(), dtype=float)


def test_the_walk_is_net1s_distances_at_the_share(widget, net1, dataset):
    choose(widget, column="c03", category="2", other="0", row=4)
    rows = dataset.rows[dataset.test[4:5]]
    for share in (0.0, 0.37, 1.0):
        choose(widget, share=share)
        path = inspection.walk(net1, rows, 3, 2, 0, points=101)
        here = path.iloc[round(100 * share)]
        said = (
            f"share {share:.2f} of 0: behind net1 it lies {here.to_first:.2f} from 2, "
            f"{here.to_second:.2f} from 0, and {here.to_nearest:.2f} from the nearest category, "
            f"{here.nearest:.0f}."
        )
        assert [said in one for one in labels(widget)] == [True, True]


@pytest.mark.parametrize("view", inspection.VIEWS)
def test_the_list_is_the_nearest_with_distance_and_count(view, widget, net1, dataset):
    choose(widget, column="c01", view=view, category="1", other="2")
    vectors = category_vectors(net1, dataset, "c01", view=view)
    near = nearest(vectors, "1", k=min(6, len(vectors) - 1))
    listed = re.findall(
        r'scope="row"[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)', shown(widget)
    )
    assert listed == [
        (name, f"{distance:.3f}", f"{count:,}")
        for name, distance, count in zip(
            near["neighbour"], near["distance"], near["count"], strict=True
        )
    ]
    pairs = [f"{r.neighbour} ({r.distance:.2f})" for r in near.itertuples()]
    assert f"Nearest to 1, with distances: {', '.join(pairs)}." in labels(widget)[0]


@pytest.mark.parametrize("view", ["table", "first_layer"])
def test_the_mixture_walks_straight_from_one_to_the_other(view, widget):
    choose(widget, column="c03", view=view, category="0", other="3")
    places = []
    for share in (0.0, 0.25, 1.0):
        choose(widget, share=share)
        places.append(dot(widget))
        assert f"The dot on the dashed line is the mixture: {share:.0%} 3." in words(widget)
    start, quarter, end = places
    np.testing.assert_allclose(quarter, start + 0.25 * (end - start), atol=0.02)
    np.testing.assert_allclose(start, mark(widget, "category"), atol=0.02)
    np.testing.assert_allclose(end, mark(widget, "other"), atol=0.02)


def mark(widget, name):
    """Where a category is marked."""
    found = re.search(
        rf'id="{name}".*?<use[^>]*? x="([\d.]+)" y="([\d.]+)"', shown(widget), re.DOTALL
    )
    return np.array(found.groups(), dtype=float)


def test_the_slider_draws_nothing_again(widget, monkeypatch):
    choose(widget, column="c03", category="0", other="3")
    drawn, true = [], FigureCanvasSVG.print_svg
    monkeypatch.setattr(
        FigureCanvasSVG, "print_svg", lambda *a, **k: drawn.append(a) or true(*a, **k)
    )
    pages = set()
    for share in (0.1, 0.2, 0.3):
        choose(widget, share=share)
        pages.add(shown(widget))
    assert (len(pages), drawn) == (3, [])
    choose(widget, category="1")
    assert len(drawn) == 2  # the map and the walk
    choose(widget, row=3)
    assert len(drawn) == 3  # another walk


def test_behind_net1_a_mixture_has_no_place_and_that_is_said(widget):
    choose(widget, column="c03", view="output", share=0.5)
    assert dot(widget) is None
    assert BEHIND in words(widget)
    assert BEHIND in labels(widget)[0]


def test_a_mixtures_place_is_the_projection_of_its_embedding(net1, dataset):
    made = project(category_vectors(net1, dataset, "c03"), method="pca")
    ax = Figure().add_subplot()
    CategoryMap(made, "1", "2", nearest(made.vectors, "1", k=2)).draw(ax, 0.3)
    (dot,) = [line for line in ax.get_lines() if line.get_markerfacecolor() == "black"]
    soft = 0.7 * made.vectors.values[1] + 0.3 * made.vectors.values[2]
    np.testing.assert_allclose(dot.get_xydata()[0], made.place(soft[None])[0], atol=1e-6)


def test_a_umap_is_computed_aside_and_the_page_says_so(held_umap, widget):
    before = set(threading.enumerate())
    choose(widget, column="c03", projection="umap")
    assert WAIT in words(widget)
    assert 'role="status"' in shown(widget)
    choose(widget, share=0.5)  # the page lives meanwhile
    assert "share 0.50" in labels(widget)[0]
    assert len(set(threading.enumerate()) - before) == 1
    held_umap.set()
    wait_for_maps(before)
    assert WAIT not in words(widget)
    assert "UMAP: trustworthiness" in labels(widget)[0]
    assert BENT in words(widget)
    assert dot(widget) is None
    assert "share 0.50" in labels(widget)[0]


def test_a_umap_that_nobody_waits_for_changes_nothing(held_umap, widget):
    before = set(threading.enumerate())
    choose(widget, column="c03", projection="umap")
    choose(widget, projection="pca", share=0.25)
    page = labels(widget)
    held_umap.set()
    wait_for_maps(before)
    assert labels(widget) == page
    choose(widget, projection="umap")  # is there already
    assert "UMAP: trustworthiness" in labels(widget)[0]
    assert set(threading.enumerate()) <= before


def test_a_umap_at_the_start_comes_too(held_umap, net1, dataset):
    before = set(threading.enumerate())
    held_umap.set()
    widget = widgets.embedding_explorer(net1, dataset, column="c03", projection="umap")
    wait_for_maps(before)
    assert "UMAP: trustworthiness" in labels(widget)[0]


def test_a_umap_that_came_before_anyone_could_be_told_is_shown(net1, dataset, monkeypatch):
    def at_once(later, *key):
        known, later.found[key] = later.found.get(key), later.found.get(key) or later.compute(*key)
        return known

    def pretended(vectors, *, method):
        found = project(vectors, method="pca")
        return dataclasses.replace(
            found, method=method, pca=None if method == "umap" else found.pca
        )

    monkeypatch.setattr(Later, "get", at_once)
    monkeypatch.setattr(embedding, "project", pretended)
    widget = widgets.embedding_explorer(net1, dataset, column="c03", projection="umap")
    assert "UMAP: trustworthiness" in labels(widget)[0]


def test_each_projection_is_computed_once(widget, monkeypatch):
    asked = []

    def counted(vectors, *, method):
        asked.append((vectors.title, method))
        return project(vectors, method=method)

    monkeypatch.setattr(embedding, "project", counted)
    for _ in range(2):
        for view in ("table", "output"):
            choose(widget, column="c01", view=view, category="2", share=0.2)
        choose(widget, column="c03")
    assert len(asked) == len(set(asked))
    assert len(asked) >= 3


def test_a_walk_is_computed_once(widget, monkeypatch):
    asked, true = [], inspection.walk
    monkeypatch.setattr(inspection, "walk", lambda *a, **k: asked.append(a[2:]) or true(*a, **k))
    choose(widget, column="c03")
    for share in (0.1, 0.2, 0.3):
        choose(widget, share=share)
    choose(widget, row=1, share=0.4)
    choose(widget, row=0)
    assert len(asked) == 2


def test_a_failed_umap_is_shown_in_words_and_pca_recovers(widget, monkeypatch):
    def broken(vectors, *, method):
        if method == "umap":
            raise RuntimeError("out of <memory>")
        return project(vectors, method=method)

    monkeypatch.setattr(embedding, "project", broken)
    before = set(threading.enumerate())
    choose(widget, column="c03", projection="umap")
    wait_for_maps(before)
    assert "RuntimeError: out of &lt;memory&gt;" in widget.message.value
    choose(widget, projection="pca")
    assert "PCA" in labels(widget)[0]


def test_few_categories_have_no_map_but_a_walk(own):
    net1 = freeze(RowEncoder(own.schema, Z=3, width=16, depth=1, D=4, embedding_std=None))
    widget = widgets.embedding_explorer(net1, own, column="port", share=0.5)
    for projection in ("pca", "umap"):
        choose(widget, projection=projection)
        (said,) = alerts(widget)
        assert "'port, after the first layer' has 3 points; a map needs at least 4" in said
        assert "share 0.50" in labels(widget)[0]
    choose(widget, projection="pca", column="gate")
    assert alerts(widget) == []
    assert widget.controls["category"].options == ("1", "2", "3", "4")
    assert dot(widget) is not None
    choose(widget, column="port")
    twin = widget.twin()
    assert len(twin.picture.figure.axes) == 1
    assert twin.table.index.get_level_values("view").unique().tolist() == list(inspection.VIEWS)


def test_another_column_offers_its_categories_the_frequent_ones_first(widget, dataset):
    for number, spec in enumerate(dataset.schema.categorical):
        choose(widget, column=spec.name)
        counts = dataset.rows.codes[dataset.train, number].bincount().tolist()
        order = sorted(range(len(counts)), key=lambda k: -counts[k])
        assert frequent(dataset, spec.name) == tuple(spec.labels[k] for k in order[:2])
        for name, k in zip(("category", "other"), order, strict=False):
            assert widget.controls[name].options == spec.labels
            assert widget.controls[name].value == spec.labels[k]


def test_reset_brings_back_the_start(net1, dataset):
    start = {
        **{"column": "c03", "projection": "pca", "view": "table", "category": "1", "other": "3"},
        **{"share": 0.3, "row": 2},
    }
    widget = widgets.embedding_explorer(net1, dataset, **start)
    chart = labels(widget)
    choose(widget, column="c00", view="output", share=1.0, row=59)
    assert labels(widget) != chart
    widget.reset()
    assert widget.state == start
    assert labels(widget) == chart


def test_the_code_reproduces_the_state(widget, net1, dataset):
    choose(widget, column="c01", view="table", category="2", other="1", share=0.6, row=3)
    again = eval(widget.code, {"widgets": widgets, "net1": net1, "data": dataset})
    assert again.state == widget.state
    assert labels(again) == labels(widget)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"column": "c9"}, "c9"),
        ({"category": "99"}, "choose one of 0, 1"),
        ({"other": "99"}, "choose one of 0, 1"),
        ({"projection": "tsne"}, "umap, pca, not 'tsne'"),
        ({"view": "last"}, "table, first_layer, output, not 'last'"),
        ({"share": 1.5}, "0 to 1, not 1.5"),
        ({"share": float("nan")}, "0 to 1, not nan"),
        ({"row": 60}, "0 to 59, the test rows, not 60"),
    ],
)
def test_a_bad_start_is_refused(bad, words, net1, dataset):
    with pytest.raises((DataError, ValueError), match=re.escape(words)):
        widgets.embedding_explorer(net1, dataset, **bad)


def test_names_are_no_markup_and_no_formulas():
    draw = np.random.default_rng(0)
    names = ["<i>", "a&b", "$x^$", '"q"', "a very long name that goes on and on"]
    frame = pd.DataFrame({"tag": draw.choice(names, 90), "delay": draw.normal(size=90)})
    data = from_frame(frame, categorical=["tag"], outcomes=["delay"])
    net1 = freeze(RowEncoder(data.schema, Z=2, width=8, depth=1, D=4, embedding_std=None))
    widget = widgets.embedding_explorer(net1, data, category="<i>", other="$x^$", share=0.5)
    assert "<i>" not in shown(widget)
    assert "Mixture of <i> and $x^$" in labels(widget)[0]
    widget.twin().picture.png()


def test_a_mixture_of_a_category_with_itself_stays(widget):
    choose(widget, column="c03", category="1", other="1", share=0.5)
    assert "it lies 0.00 from 1" in labels(widget)[0]


def test_the_walk_marks_the_share_and_has_one_scale(net1, dataset):
    path = inspection.walk(net1, dataset.rows[dataset.test[:1]], 3, 0, 3, points=101)
    walk = CategoryWalk(path, dataset.schema.categorical[3].labels, "0", "3")
    heights = set()
    for share in (0.0, 0.5, 1.0):
        ax = Figure().add_subplot()
        walk.draw(ax, share)
        here = path.iloc[round(100 * share)]
        expected = [here.to_nearest, here.to_first, here.to_second]
        ends = [line for line in ax.get_lines() if line.get_marker() == "o"]
        assert [float(line.get_ydata()[0]) for line in ends] == pytest.approx(expected)
        low, high = ax.get_ylim()
        top, bottom = re.search(r'd="M[\d.]+ ([\d.]+)V([\d.]+)"', walk.svg(share)).groups()[::-1]
        dots = re.findall(r'<circle cx="[\d.]+" cy="([\d.]+)"', walk.svg(share))
        up = (float(bottom) - np.array(dots, dtype=float)) / (float(bottom) - float(top))
        np.testing.assert_allclose(up * high, expected, atol=0.01 * high)
        heights.add((low, high, top, bottom))
    assert len(heights) == 1
    assert low == 0
    assert path[["to_first", "to_second"]].to_numpy().max() < high


@pytest.mark.parametrize("view", inspection.VIEWS)
def test_the_twin_shows_all_views_the_walk_and_the_lists(view, widget, net1, dataset):
    choose(widget, column="c03", view=view, category="2", share=0.25)
    twin = widget.twin()
    assert len(twin.picture.figure.axes) == 4
    dots = [
        sum(line.get_markerfacecolor() == "black" for line in ax.get_lines())
        for ax in twin.picture.figure.axes
    ]
    assert dots == [1, 1, 0, 0]
    for one in inspection.VIEWS:
        vectors = category_vectors(net1, dataset, "c03", view=one)
        near = nearest(vectors, "2", k=len(vectors) - 1)
        assert twin.table.loc[one]["neighbour"].tolist() == near["neighbour"].tolist()[:6]
    assert "share 0.25" in twin.picture.alt


def test_what_comes_later_is_computed_once_and_told():
    asked, told, go = [], [], threading.Event()

    def slow(*key):
        asked.append(key)
        assert go.wait(20)
        return key

    later = Later(slow)
    later.tell = lambda: told.append(later.get("a"))
    before = set(threading.enumerate())
    assert later.get("a") is None
    assert later.get("a") is None
    go.set()
    wait_for_maps(before)
    assert (asked, told) == ([("a",)], [("a",)])
    assert later.get("a") == ("a",)
