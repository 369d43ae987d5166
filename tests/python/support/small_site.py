"""The facts of a small shop's release, made by hand, and its pages as their readers' programs see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from flows.site.facts import Bar, Check, Column, Gates, Label, Loaded, Origin, Profile, Promise, Relation, Site, Table
from flows.site.model_facts import Card, Measure, ModelVersion
from flows.site.render import render

NOW = datetime(2026, 3, 2, 12)
CLIENTS, BASKETS, LEAVERS = "source.shop.crm.clients", "model.shop.baskets", "model.shop.leavers"


def small_site(**changed: Any) -> Site:
    """Return the facts of a release with a source table, a fact and a label, and of a model."""
    promise = Promise("crm.clients", NOW - timedelta(hours=2), timedelta(days=1), None)
    email = Column("email", "varchar", "Where the client is written to.", "email", True, profile=Profile(9, 1, 8))
    clients = Table(
        *(CLIENTS, "source table", "sources", "crm", "clients"),
        question="Clients as the shop knows them, one row per client.",
        owner="Club team",
        unique=("client_id",),
        columns=(Column("client_id", "varchar", is_key=True), email),
        rows=9,
        promises=(promise,),
        examples=(("1", "‹email›"),),
        file="models/staging/crm/_crm__sources.yml",
    )
    baskets = Table(
        *(BASKETS, "table", "warehouse", "core", "baskets"),
        question="Baskets, one row per basket.",
        columns=(Column("basket_id", "bigint"), Column("client_id", "varchar")),
        reads=(CLIENTS,),
        rows=30,
        history=(("2026-03-01.1", 20), ("2026-03-02.1", 30)),
        promises=(promise,),
        sql="select 1",
    )
    left = Column(
        *("has_left", "boolean", "Whether the client has left."),
        constraints=("not null",),
        profile=Profile(9, 0, 2, "false", "true", histogram=(Bar("false", 6), Bar("true", 3))),
        origin=Origin(((BASKETS, "basket_id"),), ((CLIENTS, "client_id"),)),
    )
    leavers = Table(
        *(LEAVERS, "table", "marts", "growth", "leavers"),
        question="Who is about to leave?",
        text="A client has left after **ninety days** without a basket.",
        example="from leavers",
        owner="Growth team",
        department="growth",
        unique=("client_id",),
        columns=(Column("client_id", "varchar"), left, Column("known_at", "timestamp", "When the label is known.")),
        checks=(
            Check("leavers__has_left_is_known", "Each client has left or not.", "data test", "error", "pass"),
            Check("leavers__are_few", "Few clients leave.", "data test", "warn", "warn", 3, ("3 against «few»",)),
        ),
        reads=(BASKETS,),
        rows=9,
        history=(("2026-03-02.1", 9),),
        promises=(promise,),
        examples=(("1", "false", "2026-03-01"),),
        label=Label("has_left", "Whether the client has left.", ("client_id",), "", "90d", "known_at", "When known."),
    )
    card = Card(
        *("leaving", "Leaving", "Says who will leave.", "Growth team", "has_left", ("client_id",), "lightgbm.X"),
        metric="roc_auc",
        tables=(LEAVERS,),
        measured=Measure("roc_auc", 0.7, 0.65, 0.75),
        baselines=(Measure("majority", 0.5, 0.5, 0.5),),
        versions=(ModelVersion(1, "2026-03-02.1", NOW, True, Measure("roc_auc", 0.7), "champion"),),
        calibration=((0.1, 0.12), (0.8, 0.7)),
        importances=(("basket_count", 0.4), ("days_since", 0.2)),
    )
    load = Loaded("crm.clients", CLIENTS, "file:clients", "upsert", started_at=NOW, outcome="completed", rows=9)
    facts: dict[str, Any] = {
        "set_name": "club",
        "release": "2026-03-02.1",
        "built_at": NOW,
        "commit": "abcdef0123456789",
        "previous": "2026-03-01.1",
        "command": "python -m flows",
        "options": "--set club",
        "tables": {one.key: one for one in (clients, baskets, leavers)},
        "loads": (load,),
        "gates": (Gates("2026-03-02.1", NOW, 1, 1, 0, 48, 2),),
        "cards": (card,),
        "relations": (Relation(BASKETS, "client_id", LEAVERS, "client_id"),),
        "overview": "# The shop\n\nIts rules.\n\n| layer | contents |\n|---|---|\n| marts | `answers` |",
        "written_at": NOW,
    }
    return Site(**{**facts, **changed})


@dataclass
class Page(HTMLParser):
    """A page as a browser takes it apart: its tags, the names of its places, its addresses, and its text."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    text: str = ""
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids |= {str(value) for name, value in attrs if name == "id"}
        if tag not in ("meta", "link", "input", "br", "wbr", "hr", "rect", "path", "circle", "polyline"):
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.unclosed:
            while self.unclosed.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def addresses(self) -> list[str]:
        """All that it links to or loads."""
        return [str(attrs[name]) for _, attrs in self.tags for name in ("href", "src") if attrs.get(name)]


def parse(text: str) -> Page:
    """Take a page apart."""
    page = Page()
    page.feed(text)
    return page


def pages_of(site: Site) -> dict[str, str]:
    """Return the files of a site by their paths."""
    return dict(render(site))


def broken_links(files: Mapping[str, str]) -> list[str]:
    """Return the addresses in pages that lead nowhere, or out of the site."""
    pages = {path: parse(text) for path, text in files.items() if path.endswith(".html")}
    found = []
    for path, page in pages.items():
        for address in page.addresses:
            parts = urlsplit(address)
            folder = PurePosixPath(path).parent
            target = path if not parts.path else _resolved(folder / unquote(parts.path))
            is_there = target in files and (not parts.fragment or unquote(parts.fragment) in pages[target].ids)
            if parts.scheme or parts.netloc or not is_there:
                found.append(f"{path}: {address}")
    return found


def _resolved(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
