"""A page of a front needs nothing from outside, holds a picture for each point, and shows texts as texts."""

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from jaxevo import plots
from jaxevo.plots import Style

pytest.importorskip("bokeh")

SETS = {
    "parents": np.array([[2e6, 0.82], [4e6, 0.85]]),
    "evolved front": np.array([[3e6, 0.9], [1e6, np.nan], [1e6, 0.8]]),
    "mine": np.array([[5e6, 0.9]]),
}


def drawing(title):
    axes = plots.canvas(2, 1)
    axes.set_title(title)
    return axes


PICTURES = {name: [drawing(f"{name} {i}") for i in range(len(SETS[name]))] for name in ("parents", "evolved front")}


class Outline(HTMLParser):
    """What a browser would see: tags, addresses it would load, and the page's models."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.models, self.within = [], [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.loads += [attrs[name] for name in ("src", "href") if name in attrs]
        self.within = attrs.get("type") if tag == "script" else None

    def handle_data(self, data):
        if self.within == "application/json":
            self.models += data


def models(page):
    """Returns all models of a page by their names, in order."""
    found = {}

    def walk(part):
        if isinstance(part, dict):
            if part.get("type") == "object":
                found.setdefault(part["name"], []).append(part.get("attributes", {}))
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    # Scripts of HTML do not decode entities, bokeh's own loader does.
    walk(json.loads(html.unescape(Outline(page.html).models)))
    return found


def shown(page):
    """Returns what the panel would show, for each point of each set in order."""
    columns = [dict(source["data"]["entries"]) for source in models(page)["ColumnDataSource"]]
    return [text for column in columns for text in column.get("shown", [])]


@pytest.fixture(scope="module")
def page():
    return plots.explorable_front(SETS, "multiply-adds", "accuracy", pictures=PICTURES, percent=True)


@pytest.mark.smoke
def test_the_page_loads_nothing_and_holds_a_picture_of_each_finite_point(page):
    assert Outline(page.html).loads == []
    pictures = [re.findall(r'<img [^>]*src="(data:image/png;base64,[\w+/=]+)"', text) for text in shown(page)]
    assert [len(found) for found in pictures] == [1, 1, 1, 1, 0]
    assert len({found[0] for found in pictures[:4]}) == 4


def test_sets_keep_their_order_and_points_their_cost_and_quality(page):
    labels = [item["label"]["value"] for item in models(page)["LegendItem"]]
    assert labels == list(SETS)
    texts = shown(page)
    assert [next(name for name in SETS if f">{name}</b>" in text) for text in texts] == [
        *["parents"] * 2,
        *["evolved front"] * 2,
        "mine",
    ]
    assert "multiply-adds: 1.00 M<br>accuracy: 80.00%" in texts[3]


def test_names_belong_to_their_own_points_where_others_are_not_finite():
    names = {"evolved front": ["dear", "broken", "cheap"]}
    texts = shown(plots.explorable_front(SETS, "x", "y", pictures={}, names=names))
    assert ["dear" in text for text in texts] == [False, False, True, False, False]
    assert ["cheap" in text for text in texts] == [False, False, False, True, False]


def test_every_text_of_the_user_stays_a_text():
    evil = "</script><svg onload=alert(1)> & $$x$$"
    page = plots.explorable_front({evil: [[1, 2]]}, evil, evil, pictures={}, names={evil: [evil]})
    assert "svg" not in Outline(page.html).tags
    assert "<svg" not in shown(page)[0]
    assert shown(page)[0].count("&lt;svg onload=alert(1)&gt; &amp; $$x$$") == 4


def test_a_notebook_shows_the_same_page_that_is_saved(page, tmp_path):
    saved = page.save(tmp_path / "front.html")
    assert saved.read_text(encoding="utf-8") == page.html
    shown = page._repr_html_()
    assert html.unescape(re.search('srcdoc="([^"]*)"', shown).group(1)) == page.html
    assert len(repr(page)) < 100


def test_wrong_arguments_are_refused_by_name():
    def refused(error, match, series=SETS, pictures=PICTURES, **more):
        with pytest.raises(error, match=match):
            plots.explorable_front(series, "x", "y", pictures=pictures, **more)

    refused(ValueError, r"explorable_front: series\['mine'\] has shape \[3\]", {"mine": np.ones(3)}, {})
    refused(ValueError, r"pictures\['mine'\] holds 0 pictures, expected one for each point", pictures={"mine": []})
    refused(ValueError, r"pictures\['other'\] holds 1 pictures", pictures={"other": [drawing("x")]})
    refused(ValueError, r"names\['mine'\] holds 2 texts", names={"mine": ["a", "b"]})
    refused(ValueError, r"marker '\$m\$', expected one of", styles={"mine": Style("red", "$m$")})
    refused(TypeError, r"pictures\['mine'\]\[0\] is str, expected matplotlib Axes", pictures={"mine": ["a.png"]})


def test_bokeh_is_imported_where_it_is_needed_and_only_there():
    code = """
import sys
from jaxevo import plots
assert "bokeh" not in sys.modules and "matplotlib" not in sys.modules
plots.explorable_front({"mine": [[1, 2]]}, "x", "y", pictures={})
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_bokeh_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.plotting", None)
    with pytest.raises(ImportError, match=r'pip install "jaxevo\[notebook\]"'):
        plots.explorable_front(SETS, "x", "y", pictures=PICTURES)
