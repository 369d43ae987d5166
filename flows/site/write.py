"""Write the docs site of a set's last release into its place."""

import logging
import os
import shutil
from pathlib import Path

from flows.config.connections import Connections
from flows.config.settings import DataFolder
from flows.site.collect import collect
from flows.site.facts import Site
from flows.site.render import render
from flows.warehouse.dbt import Dbt

logger = logging.getLogger(__name__)


def write_site(dbt: Dbt, sources: Connections) -> Path:
    """Collect the facts of the last release, write its site, and return the front page.

    Raises UsageError if nothing is published yet.
    """
    return place_site(collect(dbt, sources), dbt.folder)


def place_site(site: Site, folder: DataFolder) -> Path:
    """Write the pages of a site beside the one that readers see, then take its place, and return the front page.

    Leftovers of a killed writer are deleted.
    """
    place = folder.docs.parent
    newest, before = place.with_name(f"{place.name}.new"), place.with_name(f"{place.name}.old")
    for left in (newest, before):
        shutil.rmtree(left, ignore_errors=True)
    for path, text in render(site):
        file = newest / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    if place.exists():
        os.rename(place, before)
    os.rename(newest, place)
    shutil.rmtree(before, ignore_errors=True)
    return folder.docs
