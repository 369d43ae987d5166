"""The docs site in Debian's Chromium: phone and desk, light and dark, search by keyboard, print; opened from disk."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.small_site import LEAVERS, small_site

from flows.config.settings import DataFolder
from flows.site.facts import Column
from flows.site.write import place_site
from tests.services.chromium import Browser, browsing

pytestmark = pytest.mark.services

PAGES = ("index", "tables", "star", "loads", "tests", "models", "macros", "guide", "models/leaving")
PAGES += ("tables/growth.leavers", "tables/core.baskets", "sources/crm.clients")
LONG = "a_column_whose_name_is_far_longer_than_any_telephone_is_wide_and_that_has_no_space_in_it_at_all"

CONTRAST = """
(() => {
  const light = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map(Number).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (!color.startsWith("rgba(") || !color.endsWith(", 0)")) return color;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() && !one.closest("svg, .skip") &&
    [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((one) => {
      const [a, b] = [light(getComputedStyle(one).color), light(ground(one))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      return [one.className + ": " + one.textContent.trim().slice(0, 30), ratio];
    }).filter(([, ratio]) => ratio < 4.5);
})()
"""
"""The texts whose contrast is less than WCAG's AA asks of texts, each with its ratio."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site one of whose columns has a very long name."""
    site = small_site()
    leavers = site.tables[LEAVERS]
    long = replace(leavers, columns=[*leavers.columns, Column(LONG, "varchar", LONG, constraints=(LONG,))])
    long = replace(long, examples=[(*row, LONG) for row in leavers.examples], sql=f"select {LONG} " * 5)
    folder = DataFolder(tmp_path_factory.mktemp("site") / "club")
    return place_site(replace(site, tables={**site.tables, LEAVERS: long}), folder).parent


def address(root: Path, page: str) -> str:
    return (root / f"{page}.html").as_uri()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_a_telephone_and_can_be_read_in_both_schemes(browser: Browser, root: Path, page: str) -> None:
    for scheme in ("light", "dark"):
        browser.open(address(root, page), 360, 740, scheme=scheme)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360
        assert browser.evaluate("document.body.scrollWidth") <= 360
        assert browser.evaluate(CONTRAST) == []


def test_dark_is_dark_and_the_choice_of_a_reader_outlasts_the_page(browser: Browser, root: Path) -> None:
    # Given a page in the light of the system
    ground = "getComputedStyle(document.body).backgroundColor"
    browser.open(address(root, "index"))
    light = browser.evaluate(ground)

    # When the reader changes it, then this page is dark, and so is the next one
    browser.evaluate("document.getElementById('theme').click()")
    dark = browser.evaluate(ground)
    assert dark != light
    browser.open(address(root, "tables"))
    assert browser.evaluate(ground) == dark

    # And back, while a system that is dark is dark without a choice
    browser.evaluate("document.getElementById('theme').click(); localStorage.clear()")
    browser.open(address(root, "index"), scheme="dark")
    assert browser.evaluate(ground) == dark


def test_a_column_is_found_by_the_keyboard_alone(browser: Browser, root: Path) -> None:
    # Given a page of a table, which is a folder deeper
    browser.open(address(root, "sources/crm.clients"))

    # When the reader types a slash, a few letters, and goes down and up
    browser.press("/", text="/")
    browser.type("has_le")
    browser.wait("document.querySelectorAll('#found [role=option]').length > 0")
    assert browser.evaluate("document.getElementById('search').value") == "has_le"
    browser.press("ArrowDown")
    assert browser.evaluate("document.querySelector('#found [aria-selected=true]').textContent").startswith("column")

    # Then Enter leads to the column
    browser.press("Enter")
    browser.wait("location.hash === '#column-has_left'")
    assert browser.evaluate("location.pathname").endswith("/tables/growth.leavers.html")

    # And words of a question, of an owner, and of a class of personal data are found
    for text, expected in (
        ("about to leave", "growth.leavers"),
        ("growth team", "growth.leavers"),
        ("email", "clients.email"),
    ):
        browser.open(address(root, "index"))
        browser.press("/", text="/")
        browser.type(text)
        browser.wait("document.querySelectorAll('#found [role=option]').length > 0")
        assert expected in browser.evaluate("document.getElementById('found').textContent")
    browser.press("Escape")
    assert browser.evaluate("document.getElementById('found').hidden")


def test_a_question_in_the_readers_words_leaves_the_questions_that_fit(browser: Browser, root: Path) -> None:
    browser.open(address(root, "index"))
    shown = "[...document.querySelectorAll('.questions li:not([hidden])')].length"
    browser.evaluate("document.getElementById('filter').focus()")
    browser.type("who is about to leave")
    assert browser.evaluate(shown) == 1
    browser.type(" xyzzy")
    assert browser.evaluate(shown) == 1


def test_a_page_asks_for_nothing_but_files_of_the_site(browser: Browser, root: Path) -> None:
    for page in PAGES:
        browser.open(address(root, page))
    beyond = [url for url in browser.requested if not url.startswith((root.as_uri(), "about:"))]
    assert beyond == []


def test_what_is_late_by_now_says_so(browser: Browser, root: Path) -> None:
    # Given a site of 2026-03-02, whose source promised rows within a day, opened later
    browser.open(address(root, "tables/growth.leavers"))
    assert browser.evaluate("document.querySelector('[data-late]').textContent") == "late by now"


def test_a_printed_page_has_all_of_it_and_no_menu(browser: Browser, root: Path, tmp_path: Path) -> None:
    browser.open(address(root, "tables/growth.leavers"), 794, 1123, media="print")
    assert browser.evaluate("getComputedStyle(document.querySelector('header.top')).display") == "none"
    assert browser.evaluate("document.documentElement.scrollWidth") <= 794
    assert browser.print(tmp_path / "page.pdf").stat().st_size > 10_000
