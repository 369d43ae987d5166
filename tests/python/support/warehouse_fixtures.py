"""Warehouses in their own folders; a module requests them by `pytest_plugins = ["support.warehouse_fixtures"]`."""

from pathlib import Path

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Warehouse, parse


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The project, parsed once for all tests that build from a lake by hand."""
    return parse(tmp_path_factory.mktemp("manifest") / "parsed")


@pytest.fixture
def incremental(tmp_path: Path, manifest: Manifest) -> Warehouse:
    """A warehouse that is built several times."""
    return Warehouse(tmp_path / "incremental", manifest)


@pytest.fixture
def full(tmp_path: Path, manifest: Manifest) -> Warehouse:
    """A warehouse that is built from nothing, for comparison."""
    return Warehouse(tmp_path / "full", manifest)
