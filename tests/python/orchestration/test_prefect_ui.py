"""Prefect's pages in Debian's Chromium: the list of runs, a good run, a failed one, and what its artifact says."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.flow_shop import CLIENTS, SET, FlowShop, leave_out_data_tests, leave_out_unit_tests, make_shop
from support.prefect_view import latest_run

from flows.core.errors import SchemaMismatch
from tests.services.chromium import Browser, browsing

pytestmark = pytest.mark.services

SHOWN = "document.body.innerText"
PICTURES = os.environ.get("PICTURES_OF_TESTS")
"""A folder that keeps the pictures, so that somebody can look at them."""


@dataclass(frozen=True)
class Pages:
    """A browser and the server whose pages it shows, with a good run and a failed one."""

    browser: Browser
    url: str
    good: str
    failed: str
    folder: Path

    def show(self, page: str, *texts: str) -> str:
        """Open a page, wait until it has these texts, take a picture, and return all of its text."""
        self.browser.open(f"{self.url}/{page}")
        try:
            for text in texts:
                self.browser.wait(f"{SHOWN}.includes({json.dumps(text)})")
        finally:
            time.sleep(2 if PICTURES else 0)  # the timeline is drawn last, and no text says when
            self.browser.picture(self.folder / f"{page.partition('/')[0]}-{len(list(self.folder.iterdir()))}.png")
        return str(self.browser.evaluate(SHOWN))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> Iterator[Pages]:
    """Prefect's pages after a good run of a shop, and one whose customers have lost their key."""
    from flows.orchestration.server import free_port, serving, wait_for_server

    root = tmp_path_factory.mktemp("prefect-pages")
    shop: FlowShop = make_shop(root, flow_home)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        leave_out_data_tests(patched)
        shop.drop_day(1)
        shop.elt()
        good = latest_run(f"elt {SET}").id
        shop.drop_day(2)
        shop.drop("clients-2.csv", ["Number", *CLIENTS[1:]], [["0005", "c5@example.com", "AT", "2026-01-02 06:00"]])
        with pytest.raises(SchemaMismatch):
            shop.elt()
        failed = latest_run(f"elt {SET}").id
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        patched.setenv("PREFECT_API_URL", f"{url}/api")
        folder = Path(PICTURES) if PICTURES else root / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        with serving(port, with_ui=True), browsing() as browser:
            wait_for_server(f"{url}/api")
            yield Pages(browser, url, str(good), str(failed), folder)


def test_the_list_of_runs_tells_a_good_run_from_a_failed_one(pages: Pages) -> None:
    shown = pages.show("runs", f"elt {SET}", "Completed", "Failed")
    assert shown.count(f"elt {SET}") == 2


def test_a_good_run_shows_its_steps_and_its_loads(pages: Pages) -> None:
    shown = pages.show(f"runs/flow-run/{pages.good}", "Completed", "crm.customers: 11 records read")
    assert "Failed" not in shown


def test_a_failed_run_says_at_once_what_is_wrong(pages: Pages) -> None:
    shown = pages.show(f"runs/flow-run/{pages.failed}", "Failed", "crm.customers")
    assert "Traceback" not in shown


def test_the_artifact_of_a_failure_has_the_finding_and_the_next_command(pages: Pages) -> None:
    shown = pages.show(f"artifacts/key/failures-{SET.replace('_', '-')}", "crm.customers", "Number")
    assert "Next: Fix " in shown


def test_the_page_of_artifacts_is_a_history_by_key(pages: Pages) -> None:
    name = SET.replace("_", "-")
    shown = pages.show("artifacts", f"loads-{name}")
    assert f"failures-{name}" in shown
