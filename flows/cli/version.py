"""The versions of the project and of the engines that it runs on."""

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version

from flows.config.settings import PROJECT

ENGINES = ("duckdb", "dbt-core", "dbt-duckdb", "prefect", "deltalake")


def describe_versions() -> str:
    """Return one line: the project's version, then those of its engines, none of which is imported."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    engines = [f"{engine} {_installed(engine)}" for engine in ENGINES]
    return ", ".join([f"{project['name']} {project['version']}", *engines, f"Python {platform.python_version()}"])


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"
