"""The pages of the docs site: from facts made by hand to HTML that is taken apart as a browser does."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.small_site import BASKETS, CLIENTS, LEAVERS, NOW, broken_links, pages_of, parse, small_site

from flows.config.settings import DataFolder
from flows.site.drawing import draw_lineage, neighbours
from flows.site.facts import HELD, UNRESOLVED, Column, Origin, Site, Table
from flows.site.render import file_name, path_of
from flows.site.write import place_site

HOSTILE = "</script><script>alert(1)</script><!--\"'&{{ 7 * 7 }}"
"""A name that would end a script or a tag, or run in a template."""


@pytest.fixture(scope="module")
def site() -> Site:
    return small_site()


@pytest.fixture(scope="module")
def files(site: Site) -> dict[str, str]:
    return pages_of(site)


def test_every_table_has_a_page_at_a_permanent_address(site: Site, files: dict[str, str]) -> None:
    assert {path_of(table) for table in site.tables.values()} == {
        "sources/crm.clients.html",
        "tables/core.baskets.html",
        "tables/growth.leavers.html",
    }
    assert {path_of(table) for table in site.tables.values()} < files.keys()


def test_every_link_leads_to_a_place_of_the_site_and_nothing_is_loaded_from_elsewhere(files: dict[str, str]) -> None:
    assert broken_links(files) == []
    assert not [path for path, text in files.items() if path.endswith((".css", ".js")) and "://" in text]


def test_the_check_of_links_finds_one_that_leads_nowhere_or_out() -> None:
    found = broken_links({"a.html": '<a href="b.html">', "c/d.html": '<a href="../a.html#no"><img src="//x.y/z">'})
    assert found == ["a.html: b.html", "c/d.html: ../a.html#no", "c/d.html: //x.y/z"]


def test_each_page_is_whole(files: dict[str, str]) -> None:
    for path, text in files.items():
        if path.endswith(".html"):
            page = parse(text)
            assert page.unclosed == [], path
            assert len([tag for tag, _ in page.tags if tag == "h1"]) == 1, path
            assert all(about.get("lang") for tag, about in page.tags if tag == "html")


def test_the_page_of_a_table_answers_what_one_comes_for(files: dict[str, str]) -> None:
    # Given the page of a label
    text = " ".join(parse(files["tables/growth.leavers.html"]).text.split())

    # Then it says what is asked and who owns it, whether it is fresh, and how many rows of what kind there are
    for said in ("Who is about to leave?", "Growth team", "fresh", "9", "client_id", "What a row looks like"):
        assert said in text

    # And what the label means, when it is known, how it is tested, and where it comes from
    for said in ("Whether the client has left.", "known_at", "90d", "Few clients leave.", "3 against «few»"):
        assert said in text
    assert "Made of core.baskets basket_id" in text
    assert "From sources crm.clients client_id" in text
    assert "0 null of 9 · 2 distinct" in text


def test_a_question_leads_from_the_front_page_to_its_table(files: dict[str, str]) -> None:
    front = parse(files["index.html"])
    assert "Who is about to leave?" in front.text
    assert "tables/growth.leavers.html" in front.addresses
    assert "2026-03-02.1" in front.text


@pytest.mark.parametrize("part", ["table", "column", "text", "test", "owner", "example", "load", "card"])
def test_fault_62_any_name_or_text_stays_a_text(site: Site, part: str) -> None:
    """The name of a column contained the end and the beginning of a script: the docs site has it as a name: I."""
    # Given a release in which a name or text is HTML, a script, or a template
    leavers = site.tables[LEAVERS]
    changed = {
        "table": replace(leavers, name=HOSTILE, schema=HOSTILE),
        "column": replace(leavers, columns=[Column(HOSTILE, HOSTILE, constraints=(HOSTILE,), personal=HOSTILE)]),
        "text": replace(leavers, text=HOSTILE, question=HOSTILE, settings=[HOSTILE], sql=HOSTILE, example=HOSTILE),
        "test": replace(leavers, checks=[replace(leavers.checks[1], name=HOSTILE, sentence=HOSTILE)]),
        "owner": replace(leavers, owner=HOSTILE, uses=[HOSTILE], tags=[HOSTILE], department=HOSTILE),
        "example": replace(leavers, examples=[(HOSTILE, HOSTILE, HOSTILE)], history=[(HOSTILE, 1)]),
    }.get(part, leavers)
    hostile = replace(site, tables={**site.tables, LEAVERS: changed})
    if part == "load":
        hostile = replace(site, loads=[replace(site.loads[0], origin=HOSTILE, notes=[HOSTILE])], set_name=HOSTILE)
    if part == "card":
        hostile = replace(
            site, cards=[replace(site.cards[0], title=HOSTILE, text=HOSTILE, importances=[(HOSTILE, 1.0)])]
        )

    # When the pages are written
    files = pages_of(hostile)

    # Then no page has more scripts than before, none of them has another end, and the text can be read
    usual = {path: text.count("<script") for path, text in pages_of(site).items()}
    for path, text in files.items():
        if path.endswith(".html"):
            assert text.count("<script") == usual.get(path, usual["tables/growth.leavers.html"]), path
            assert "alert(1)</script>" not in text
            assert "49" not in parse(text).text.split()
    assert any("<script>alert(1)</script>" in parse(text).text for path, text in files.items() if path != "search.js")

    # And the index of the search is a script that ends in its place
    assert "<" not in files["search.js"].partition("= ")[2]
    json.loads(files["search.js"].partition("= ")[2].rstrip(";\n"))
    assert broken_links(files) == []


def test_names_that_differ_have_pages_that_differ_on_any_file_system() -> None:
    names = ["a/b", "a~2fb", "a b", "a.b", "ä", "../x", "<a>"]
    assert len({file_name(name) for name in names}) == len(names)
    assert not any("/" in file_name(name) for name in names)


def test_a_long_name_in_any_script_has_a_page_of_its_own(site: Site, tmp_path: Path) -> None:
    # Given two tables whose names are short enough for a file, and whose letters become numbers
    leavers = site.tables[LEAVERS]
    names = ["顧客" * 40, "顧客" * 39 + "顧"]
    tables = {name: replace(leavers, key=name, name=name, example="") for name in names}

    # When the site is written, then each has a page, links lead to it, and its query can be run
    files = pages_of(replace(site, tables={**site.tables, **tables}))
    assert broken_links(files) == []
    place_site(replace(site, tables={**site.tables, **tables}), DataFolder(tmp_path / "club"))
    for table in tables.values():
        assert f'from growth."{table.name}" limit 5' in parse(files[path_of(table)]).text


def test_the_name_of_a_table_in_a_text_leads_to_its_page(site: Site) -> None:
    # Given texts that name a table of the release, a source table, and words that are no table
    leavers = site.tables[LEAVERS]
    columns = [replace(leavers.columns[0], text="Of `crm.clients`, see `clients` and `has_left`.")]
    changed = replace(leavers, text="See `baskets`.", settings=["the table `baskets`"], columns=columns)

    # Then the first two lead to their pages
    files = pages_of(replace(site, tables={**site.tables, LEAVERS: changed}))
    page = files["tables/growth.leavers.html"]
    assert page.count('<a href="../tables/core.baskets.html"><code>baskets</code></a>') == 2
    assert '<a href="../sources/crm.clients.html"><code>crm.clients</code></a>, see <code>clients</code>' in page
    assert broken_links(files) == []


def test_origins_begin_with_the_tables_of_most_columns(site: Site) -> None:
    """A page shows four of them: those of which a calendar reads one day hide the others otherwise."""
    leavers = site.tables[LEAVERS]
    places = [(f"a{n}", "day") for n in range(5)] + [("z", "amount"), ("z", "client_id")]
    columns = [replace(leavers.columns[1], origin=Origin(places, places))]
    tables = {f"a{n}": Table(f"a{n}", "table", "warehouse", "core", f"a{n}") for n in range(5)}
    tables |= {"z": Table("z", "table", "warehouse", "core", "z"), LEAVERS: replace(leavers, columns=columns)}
    page = " ".join(
        parse(pages_of(replace(site, tables={**site.tables, **tables}))["tables/growth.leavers.html"]).text.split()
    )
    assert "Made of core.z amountclient_id core.a0 day" in page
    assert "2 more tables" in page


def test_the_search_tells_columns_of_the_same_name_apart_and_finds_personal_data(files: dict[str, str]) -> None:
    found = json.loads(files["search.js"].partition("= ")[2].rstrip(";\n"))
    columns = {name: more for name, _, kind, _, more in found if kind == "column"}
    assert {"crm.clients.client_id", "core.baskets.client_id", "growth.leavers.client_id"} < columns.keys()
    assert columns["crm.clients.email"] == "personal data: email"


def test_values_of_personal_columns_are_no_part_of_a_page(files: dict[str, str]) -> None:
    page = parse(files["sources/crm.clients.html"]).text
    assert "‹email›" in page
    assert "email: email" in page


def test_a_source_that_is_late_is_told_first(site: Site) -> None:
    # Given a source whose newest rows are older than it promises, by the time at which the site is written
    late = replace(site, written_at=NOW + timedelta(days=3))

    # Then the front page says so, and so does each table that is made of it
    files = pages_of(late)
    assert "crm.clients is older than its contract promises." in parse(files["index.html"]).text
    assert ">late<" in files["tables/growth.leavers.html"]
    assert ">late<" not in pages_of(site)["tables/growth.leavers.html"]


def test_what_is_held_back_is_told_first_and_is_neither_fresh_nor_passed(site: Site) -> None:
    # Given a source and a label that are held back, and a test of the label that passed in the release before
    first, leavers = "2026-03-01.1", site.tables[LEAVERS]
    checks = [replace(leavers.checks[0], status=HELD, held_since=first, before="pass")]
    held = replace(leavers, held_since=first, checks=checks)
    tables = {**site.tables, LEAVERS: held, CLIENTS: replace(site.tables[CLIENTS], held_since=first)}
    files = pages_of(replace(site, tables=tables, gates=[replace(site.gates[0], passed=0, warned=0, held=1)]))
    texts = {path: " ".join(parse(text).text.split()) for path, text in files.items() if path.endswith(".html")}

    # Then the front page leads to a list of them
    front = texts["index.html"]
    assert f"The table growth.leavers is held back, as release {first} had it." in front
    assert f"The source table crm.clients is held back, as release {first} had it." in front
    assert "0 passed1 held back" in front
    assert "tables.html#held" in parse(files["index.html"]).addresses
    assert f"growth.leavers of release {first}" in texts["tables.html"]
    assert broken_links(files) == []

    # And their pages say of which release rows and verdicts are; the page of another table stays as it was
    for path in ("tables/growth.leavers.html", "sources/crm.clients.html"):
        assert f"Freshnessheld back of release {first}" in texts[path]
        assert ">fresh<" not in files[path]
    for path in ("tables/growth.leavers.html", "tests.html"):
        assert f"passed in release {first}, did not run since" in texts[path]
        assert ">passed<" not in files[path]
    assert ">fresh<" in files["tables/core.baskets.html"]

    # And a site without any says nothing of it
    usual = pages_of(site)
    assert not [path for path in usual if ">held back<" in usual[path]]


def test_a_column_that_cannot_be_followed_says_so(site: Site) -> None:
    leavers = site.tables[LEAVERS]
    columns = [replace(leavers.columns[1], origin=Origin(note=UNRESOLVED))]
    files = pages_of(replace(site, tables={**site.tables, LEAVERS: replace(leavers, columns=columns)}))
    assert "unresolved its SQL could not be followed" in " ".join(
        parse(files["tables/growth.leavers.html"]).text.split()
    )


def test_lineage_shows_two_steps_and_counts_what_has_no_room() -> None:
    # Given a table that reads thirty tables, one of which is made of a chain of three
    names = [f"t{n:02d}" for n in range(30)]
    tables = {name: Table(name, "table", "warehouse", "core", name) for name in (*names, "far", "farther", "farthest")}
    tables["wide"] = Table("wide", "table", "marts", "finance", "wide", reads=names)
    chain = {"t00": ("far",), "far": ("farther",), "farther": ("farthest",)}
    tables |= {name: replace(tables[name], reads=read) for name, read in chain.items()}
    readers = {parent: [key] for key, one in tables.items() for parent in one.reads}

    # When it is drawn
    drawn = draw_lineage(tables["wide"], tables, readers, lambda key: f"{key}.html")

    # Then the drawing has two steps, a few tables of each, and the number of the others
    reads = {key: one.reads for key, one in tables.items()}
    assert neighbours(tables["wide"], reads, readers) == {**dict.fromkeys(names, -1), "wide": 0, "far": -2}
    page = parse(drawn)
    assert "23 more" in page.text
    assert "farther.html" not in page.addresses
    assert {"t00.html", "far.html"} < set(page.addresses)


def test_a_new_site_takes_the_place_of_the_one_before_as_a_whole(site: Site, tmp_path: Path) -> None:
    # Given a site, and what a killed writer left beside it
    folder = DataFolder(tmp_path / "club")
    front = place_site(site, folder)
    (tmp_path / "club" / "docs.new").mkdir()
    (tmp_path / "club" / "docs.new" / "half.html").write_text("<html>")

    # When the next release has a table less, and more rows
    tables = {
        key: replace(one, rows=31) if key == BASKETS else one for key, one in site.tables.items() if key != CLIENTS
    }
    place_site(replace(site, tables=tables, loads=(), release="2026-03-03.1"), folder)

    # Then no page of the table is left, and the others are new
    pages = {path.relative_to(front.parent).as_posix() for path in front.parent.rglob("*.html")}
    assert "sources/crm.clients.html" not in pages
    assert "half.html" not in pages
    assert "2026-03-03.1" in front.read_text()
    assert "31" in (front.parent / "tables/core.baskets.html").read_text()
    assert [path.name for path in (tmp_path / "club").iterdir()] == ["docs"]
