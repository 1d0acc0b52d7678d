"""The built site in a browser without a network: every page, its search, and the triangle."""

import itertools
import math
import re

import pytest
import torch

from browser.harness import expect
from tabkit import estimators, simplex

K = (3,)
TAUS = (0.1, 0.5, 1.0, 3.0)
LOGITS = ([1.0, 0.8, -0.5], [0.0, 0.0, 0.0], [-3.0, 2.5, 3.0])
NOISE = [0.3, -0.9, 1.7]
PAPER = ("softmax", "straight_through_argmax", "gumbel_softmax", "straight_through_gumbel")
RAW = re.compile(r"\$\$|\\(?:frac|text|sum|big|log|tau|theta)\b")


# Furo lets the content be scrolled: there it must not have to be.
WIDEST = """Math.max(...[document.documentElement, document.querySelector('.content')]
    .map(element => element.scrollWidth))"""


class Reader:
    """A page in a browser that is cut off, and what went wrong in it."""

    def __init__(self, browser, folder, **options):
        self.folder, self.faults = folder, []
        self.context = browser.new_context(reduced_motion="reduce", **options)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.notice(request.url))

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def notice(self, url):
        if not url.startswith((self.folder.as_uri(), "data:", "blob:")):
            self.faults.append(url)

    def open(self, name):
        self.page.goto(f"{self.folder.as_uri()}/{name}")
        return self.page


@pytest.fixture(scope="module")
def folder(site):
    return site["index.html"].parent


@pytest.fixture(scope="module")
def reader(browser, folder):
    found = Reader(browser, folder)
    yield found
    found.context.close()


@pytest.fixture(scope="module")
def pages(site):
    return [name for name in site if name.endswith(".html") and "_static" not in name]


def test_every_page_opens_without_an_error_a_request_or_a_raw_formula(reader, pages):
    for name in pages:
        page = reader.open(name)
        page.wait_for_load_state()
        assert reader.faults == [], name
        assert not RAW.search(page.locator("article, body").first.inner_text()), name
        pictures = "() => [...document.images].filter(i => !i.alt || !i.naturalWidth).length"
        assert page.evaluate(pictures) == 0, name
    assert len(pages) > 40


def test_no_page_of_the_course_is_wider_than_a_telephone(browser, folder, pages):
    narrow = Reader(browser, folder, viewport={"width": 400, "height": 800})
    for name in [name for name in pages if name.startswith("notebooks/")] + ["docs/triangle.html"]:
        page = narrow.open(name)
        assert page.evaluate(WIDEST) <= 400, name
    narrow.context.close()


@pytest.mark.parametrize("word", ["siamese", "plausible"])
def test_the_search_finds_a_word_of_the_course(word, reader):
    page = reader.open(f"search.html?q={word}")
    expect(page.locator("#search-results a[href^='notebooks/']").first).to_be_visible()
    assert reader.faults == []


def test_formulas_are_drawn_and_none_is_an_error(reader):
    page = reader.open("notebooks/02_one_hot_is_linear.html")
    boxes = "() => [...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().width)"
    widths = page.evaluate(boxes)
    assert len(widths) > 5
    assert min(widths) > 3
    fraction = page.locator("math mfrac").first.bounding_box()
    assert fraction["height"] > 1.5 * page.locator("math mi").first.bounding_box()["height"]


def test_a_solution_is_folded_until_a_key_is_pressed(reader):
    page = reader.open("notebooks/02_one_hot_is_linear.html")
    solution = page.locator("details.hide").first
    expect(solution.locator(".cell_input")).to_be_hidden()
    solution.locator("summary").press("Enter")
    expect(solution.locator(".cell_input")).to_be_visible()
    expect(solution.locator(".cell_output")).to_contain_text("Right")


def test_a_quiz_can_be_read_where_it_cannot_be_answered(reader):
    page = reader.open("notebooks/02_one_hot_is_linear.html")
    answer = page.locator("details", has=page.get_by_text("In nothing.", exact=True))
    reason = answer.get_by_text("No. In output and weights")
    expect(reason).to_be_hidden()
    answer.locator("summary").press("Enter")
    expect(reason).to_be_visible()
    expect(page.get_by_text("Do the weights' gradients agree, too?").last).to_be_visible()


def test_a_figure_of_plotly_lives_and_no_empty_box_stands_for_a_widget(reader, browser, folder):
    page = reader.open("notebooks/06_what_net1_learned.html")
    expect(page.locator(".living .main-svg").first).to_be_visible()
    expect(page.locator(".living img")).to_have_count(0)
    expect(page.locator(".still")).to_have_count(1)
    expect(page.locator(".cell_output").first).not_to_contain_text("0%")
    expect(page.locator(".cell_output").first).not_to_contain_text("a warning")
    assert reader.faults == []
    plain = Reader(browser, folder, java_script_enabled=False)
    expect(plain.open("notebooks/06_what_net1_learned.html").locator(".living img")).to_be_visible()
    plain.context.close()


def test_only_a_page_with_such_a_figure_loads_its_script(site, pages):
    loading = [name for name in pages if "plotly.min.js" in site[name].read_text()]
    assert loading == ["notebooks/06_what_net1_learned.html"]


def test_the_course_is_the_first_chapter_of_the_navigation(reader):
    links = reader.open("README.html").locator(".sidebar-tree a")
    names = [name.strip()[:2] for name in links.all_text_contents()]
    assert names[:10] == [f"{number:02d}" for number in range(10)]


@pytest.fixture
def triangle(reader):
    page = reader.open("docs/triangle.html")
    yield page
    assert reader.faults == []


def tables(page):
    W, target = (torch.tensor(page.evaluate(f"triangle.{it}")) for it in ("tables", "target"))
    return lambda point: (point @ W - target).square().sum(-1)


def close(found, expected):
    """The page computes in double precision."""
    found = torch.tensor(found, dtype=torch.float32)
    torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-4)


def by_the_paper(name, logits, tau, noise):
    """What net1 gets of logits (1, 3), in tabkit's formulas."""
    noisy = logits + noise * ("gumbel" in name)
    soft = simplex.softmax(noisy, K, tau)
    if name.startswith("straight"):
        return simplex.straight_through(simplex.argmax(noisy, K), soft)
    return soft


@pytest.mark.parametrize("name", PAPER)
def test_the_page_computes_what_tabkit_does(name, triangle):
    objective, noise = tables(triangle), torch.tensor([NOISE])
    for logits, tau in itertools.product(LOGITS, TAUS):
        leaf = torch.tensor([logits], requires_grad=True)
        shown = by_the_paper(name, leaf, tau, noise)
        objective(shown).sum().backward()
        asked = [name, logits, tau, NOISE]
        point = triangle.evaluate("([n, ...rest]) => triangle.relaxations[n](...rest)[0]", asked)
        slope = triangle.evaluate("asked => triangle.gradient(...asked)", asked)
        loss = triangle.evaluate("point => triangle.loss(point)", point)
        torch.testing.assert_close(
            1.0 * torch.tensor([point]), shown.detach(), atol=1e-5, rtol=1e-5
        )
        torch.testing.assert_close(torch.tensor([slope]), leaf.grad, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(torch.tensor([loss]), objective(shown).detach())


@pytest.mark.parametrize("name", [name for name in PAPER if "gumbel" not in name])
def test_its_gradient_is_that_of_tabkits_estimator_of_the_name(name, triangle):
    objective = tables(triangle)
    for logits, tau in itertools.product(LOGITS, TAUS):
        leaf = torch.tensor([logits], requires_grad=True)
        estimators.make(name, tau=tau)(leaf, objective, cardinalities=K).backward()
        slope = triangle.evaluate(
            "asked => triangle.gradient(...asked)", [name, logits, tau, NOISE]
        )
        torch.testing.assert_close(torch.tensor([slope]), leaf.grad, atol=1e-5, rtol=1e-4)


def test_its_entropy_and_its_noise_are_what_they_are_called(triangle):
    for logits in LOGITS:
        p = torch.tensor(logits).softmax(0)
        found = triangle.evaluate("p => triangle.entropy(p)", p.tolist())
        assert found == pytest.approx(torch.distributions.Categorical(p).entropy().item(), abs=1e-5)
    drawn = triangle.evaluate("triangle.draw(triangle.noise(3), 4000)")
    noise = torch.tensor(drawn).flatten()  # Gumbel: mean .5772, variance pi^2 / 6
    bound = 4 * math.sqrt(math.pi**2 / 6 / len(noise))
    assert noise.mean().item() == pytest.approx(0.5772, abs=bound)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, rel=0.1)


def losses(page):
    return {
        look: float(page.locator(f"output[name={look}]").inner_text())
        for look in ("shown", "argmax", "search")
    }


def control(page, name):
    return page.locator(f'.simplex-figure [name="{name}"]')


def test_it_starts_with_the_argument(triangle):
    """The mixture costs next to nothing, its argmax more than a random row, a search little."""
    objective, found = tables(triangle), losses(triangle)
    random_row = objective(torch.eye(3)).mean().item()
    assert found["shown"] < 0.01
    assert found["argmax"] > random_row > 4 * found["search"]
    text = triangle.locator("article").inner_text()
    best = objective(torch.eye(3)).min().item()
    assert f"a random row costs {random_row:.2f}, and the best one, C, {best:.2f}." in text


def test_what_it_shows_is_what_it_computes_for_its_controls_worked_by_keys(triangle):
    objective = tables(triangle)
    control(triangle, "tau").press("Home")
    control(triangle, "logit B").press("End")
    logits = torch.tensor([[1.0, 3.0, -0.5]])
    mixture = simplex.softmax(logits, K, 0.1)
    assert losses(triangle)["shown"] == pytest.approx(objective(mixture).item(), abs=0.006)
    assert losses(triangle)["argmax"] == pytest.approx(objective(torch.eye(3)[1]).item(), abs=0.006)
    assert (
        "Softmax at tau 0.10: A 0.00, B 1.00, C 0.00"
        in triangle.locator("p[aria-live]").inner_text()
    )
    control(triangle, "reset").press("Enter")
    assert control(triangle, "logit B").input_value() == "0.8"


def test_it_can_be_read_out(triangle):
    words = triangle.locator("p[aria-live]").inner_text()
    for picture in triangle.locator(".simplex-figure figure svg").all():
        assert picture.get_attribute("role") == "img"
        assert words in picture.get_attribute("aria-label")
    expect(triangle.get_by_role("combobox", name="relaxation", exact=True)).to_have_count(1)
    for name in ("tau", "logit A", "logit B", "logit C"):
        expect(triangle.get_by_role("slider", name=name, exact=True)).to_have_count(1)
    assert control(triangle, "tau").get_attribute("aria-valuetext") == "1.00"


def test_noise_is_drawn_anew_only_when_asked(triangle):
    control(triangle, "name").select_option("gumbel_softmax")
    before = losses(triangle)["shown"]
    control(triangle, "tau").press("ArrowRight")
    control(triangle, "tau").press("ArrowLeft")
    assert losses(triangle)["shown"] == before
    places = "() => document.querySelector('.mark.shown.many').getAttribute('transform')"
    first = triangle.evaluate(places)
    control(triangle, "noise").press("Enter")
    assert triangle.evaluate(places) != first


def test_trained_through_the_softmax_the_argmax_stays_bad(triangle):
    control(triangle, "train").press("Enter")
    found = losses(triangle)
    assert found["shown"] < 0.01
    assert found["search"] < found["argmax"] / 4


def test_cold_half_the_gap_is_closed_and_training_ends_at_the_worst_row(triangle):
    control(triangle, "tau").press("Home")
    before = losses(triangle)
    assert before["shown"] == pytest.approx(before["argmax"] / 2, rel=0.1)
    control(triangle, "train").press("Enter")
    worst = round(max(tables(triangle)(torch.eye(3)).tolist()), 2)
    assert losses(triangle) == {"shown": worst, "argmax": worst, "search": worst}


def test_trained_by_samples_the_argmax_is_the_best_row(triangle):
    control(triangle, "name").select_option("straight_through_gumbel")
    before = losses(triangle)
    control(triangle, "train").press("Enter")
    after = losses(triangle)
    assert after["argmax"] == round(min(tables(triangle)(torch.eye(3)).tolist()), 2)
    assert after["shown"] < before["shown"] / 2
