"""The one place that reads the environment: where things are, and secrets on their way to a connector."""

import hashlib
import hmac
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.core.errors import UsageError
from flows.core.object_store import SCHEME, S3Path
from flows.core.redaction import remember_secret

PROJECT = Path(__file__).resolve().parents[2]
SET_VARIABLE, DATA_VARIABLE, LAKE_VARIABLE = "ML_WAREHOUSE_SET", "ML_WAREHOUSE_DATA", "ML_WAREHOUSE_LAKE"
CLONE_VARIABLE, DOCS_VARIABLE = "ML_WAREHOUSE_CLONE", "ML_WAREHOUSE_DOCS_URL"
LINEAGE_VARIABLE, ALERTS_VARIABLE = "ML_WAREHOUSE_OPENLINEAGE", "ML_WAREHOUSE_ALERTS"
"""The URLs of alerts; one of an owner's own ends with its name: ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT."""

KEY_VARIABLE, KEY_CHARACTERS = "ML_WAREHOUSE_PSEUDONYM_KEY", 32
TEMPLATE, MLFLOW = "template", "mlflow"
RESERVED = ("prefect", TEMPLATE, MLFLOW)
"""Folders beside those of the sets."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
S3_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
MAKE_KEY = 'python -c "import secrets; print(secrets.token_hex(32))"'


def env_var(name: str, default: str | None = None) -> str:
    """Return an environment variable, and remember its value as a secret that `scrub` hides.

    Raises KeyError if it is not set and there is no default.
    """
    value = os.environ.get(name, default)
    if value is None:
        raise KeyError(name)
    if value == default:
        return default
    remember_secret(value)
    return value


def chosen_set() -> str | None:
    """Return the set of connections that the environment names, if it names one."""
    return os.environ.get(SET_VARIABLE) or None


def data_root() -> Path:
    """Return the folder that holds everything the project writes."""
    return (PROJECT / (os.environ.get(DATA_VARIABLE) or "data")).resolve()


def lake_copy(path: S3Path) -> Path:
    """Return where this machine keeps a copy of a file or folder of a lake that is on S3."""
    connection_set, *parts = path.relative_to(S3Path(os.environ[LAKE_VARIABLE])).parts
    return data_root().joinpath(connection_set, "lake-files", *parts)


def template_folder() -> "DataFolder":
    """Return the folder of the release without any source, from which a new set begins."""
    return DataFolder(data_root() / TEMPLATE)


def alert_urls(owner: str) -> tuple[str, ...]:
    """Return the URLs, in Apprise's form, to which alerts for an owner go: its own, else those for all.

    They hold secrets, so that only the environment has them, and `scrub` hides them.
    """
    own = re.sub("[^A-Z0-9]+", "_", owner.upper()).strip("_")
    text = (env_var(f"{ALERTS_VARIABLE}_{own}", "") if own else "") or env_var(ALERTS_VARIABLE, "")
    urls = tuple(text.split())
    for url in urls:
        remember_secret(url)
    return urls


def lineage_place() -> str | None:
    """Return the file or the URL of a server to which OpenLineage events go; None if none is named."""
    return env_var(LINEAGE_VARIABLE, "") or None


def docs_url(folder: "DataFolder", page: str) -> str:
    """Return where a browser finds a page of a set's docs site: where the environment says, else the file."""
    base = os.environ.get(DOCS_VARIABLE, "").rstrip("/")
    return f"{base}/{folder.path.name}/{page}" if base else (folder.docs.parent / page).as_uri()


def prefect_is_elsewhere() -> str | None:
    """Return the URL of the Prefect server that was named, so that none needs to be started."""
    return os.environ.get("PREFECT_API_URL") or None


def mlflow_home() -> Path:
    """Return the folder of MLflow's runs and models, should no MLflow server be named."""
    return data_root() / MLFLOW


def mlflow_is_elsewhere() -> str | None:
    """Return the URI of the MLflow store that was named, so that none needs to be kept in the data folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or None


def mlflow_uri() -> str:
    """Return where MLflow keeps runs and models: the store that was named, else a SQLite file in the data folder."""
    return mlflow_is_elsewhere() or f"sqlite:///{mlflow_home() / 'mlflow.db'}"


def command() -> str:
    """Return how this command line is called from the project's folder, so that what is printed can be pasted."""
    is_activated = os.environ.get("VIRTUAL_ENV") == sys.prefix
    return f"{'python' if is_activated else shown_path(Path(sys.executable))} -m flows"


def shown_path(path: Path) -> str:
    """Return a path from the project's folder, if it lies in it."""
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def reach_loopback_directly() -> None:
    """Keep connections to this machine from a proxy that HTTP_PROXY or its like names."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""  # the first is the one that counts
    hosts = dict.fromkeys([*filter(None, (host.strip() for host in named.split(","))), *LOOPBACK])
    export(NO_PROXY=",".join(hosts), no_proxy=",".join(hosts))


def prepare_s3() -> None:
    """Give the libraries that reach S3 what the environment leaves open, and remember its secrets.

    A write on a condition is what S3 itself offers: an entity tag. An address that begins with http is meant so.
    """
    for name in S3_SECRETS:
        env_var(name, "")
    os.environ.setdefault("AWS_CONDITIONAL_PUT", "etag")
    if any(os.environ.get(name, "").startswith("http:") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")):
        os.environ.setdefault("AWS_ALLOW_HTTP", "true")


def export(**variables: str) -> None:
    """Set environment variables for this process and its children."""
    os.environ.update(variables)


def export_default(name: str, value: str) -> None:
    """Set an environment variable for this process and its children, unless it is set."""
    os.environ.setdefault(name, value)


@contextmanager
def exported(**variables: str) -> Iterator[None]:
    """Set environment variables while the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, earlier in before.items():
            os.environ.pop(name)
            if earlier is not None:
                os.environ[name] = earlier


def environment() -> dict[str, str]:
    """Return a copy of the environment, for a child process."""
    return dict(os.environ)


@dataclass(frozen=True)
class PseudonymKey:
    """The key under which ids become pseudonyms, and whether it protects no person because it lies beside the data."""

    text: str = field(repr=False)
    is_made_up: bool

    @property
    def fingerprint(self) -> str:
        """Tell one key from another without telling the key."""
        return hmac.new(self.text.encode(), b"fingerprint", hashlib.sha256).hexdigest()[:16]


@dataclass(frozen=True)
class DataFolder:
    """Where the files of one set of connections are; `has_own_lake` tells that the lake is in it in any case."""

    path: Path
    has_own_lake: bool = False

    @classmethod
    def of(cls, connection_set: str) -> "DataFolder":
        """Return the folder of a set, whether or not it exists yet."""
        return cls(data_root() / connection_set)

    @property
    def lake(self) -> Path:
        """Delta tables: raw history, quarantine, operations."""
        moved = None if self.has_own_lake else os.environ.get(LAKE_VARIABLE)
        if moved and moved.startswith(SCHEME) and moved.removeprefix(SCHEME).strip("/"):
            prepare_s3()
            return S3Path(moved) / self.path.name
        if moved and "://" in moved:
            raise UsageError(
                f"{LAKE_VARIABLE} is {moved!r}, and the lake must be a folder, or be on S3.",
                "Name a folder, or s3://BUCKET/PREFIX.",
            )
        return PROJECT / moved / self.path.name if moved else self.path / "lake"

    @property
    def catalog(self) -> Path:
        """The DuckDB database of views that dbt attaches as `lake`."""
        return self.path / "catalog.duckdb"

    @property
    def candidate(self) -> Path:
        """The database that a run builds and tests; its name is the one it is published under."""
        return self.path / "candidate" / "warehouse.duckdb"

    @property
    def dev(self) -> Path:
        """The database that dbt in a terminal writes; it is never released."""
        return self.path / "dev.duckdb"

    @property
    def releases(self) -> Path:
        """One folder a release."""
        return self.path / "releases"

    @property
    def clones(self) -> Path:
        """One folder for each clone: an experiment's own database over a release."""
        return self.path / "clones"

    @property
    def warehouse(self) -> Path:
        """The link to the last good release."""
        return self.path / "warehouse.duckdb"

    @property
    def target(self) -> Path:
        """The flows' own dbt artifacts, so that a dbt in a terminal is not disturbed."""
        return self.path / "target"

    @property
    def work(self) -> Path:
        """Files that loads spill and unpack while they run; the next run deletes all of them."""
        return self.path / "work"

    @property
    def docs(self) -> Path:
        """The front page of the generated docs site."""
        return self.path / "docs" / "index.html"

    @property
    def made_up_key(self) -> Path:
        """The key for made-up data, written by the program that makes the data."""
        return self.path / "made-up-pseudonym.key"

    @property
    def pseudonym_key(self) -> PseudonymKey | None:
        """The key for pseudonyms: the environment's, else a made-up one; raises UsageError if it can be guessed."""
        text = env_var(KEY_VARIABLE, "").strip()
        if not text:
            return self._read_made_up_key()
        if len(text) < KEY_CHARACTERS:
            raise UsageError(
                f"{KEY_VARIABLE} has {len(text)} characters, of which a key needs {KEY_CHARACTERS} at least.",
                f"Make one: {MAKE_KEY}",
            )
        return PseudonymKey(text, False)

    def _read_made_up_key(self) -> PseudonymKey | None:
        """Read the made-up key; a damaged one is never made again, since all pseudonyms would change."""
        if not self.made_up_key.exists():
            return None
        try:
            text = self.made_up_key.read_text().strip()
        except (OSError, ValueError):
            text = ""
        if len(text) < KEY_CHARACTERS or not text.isprintable():
            raise UsageError(
                f"{self.made_up_key} holds no key any more. Nothing was done; another key would change all pseudonyms.",
                f"Restore the file from a backup, or set {KEY_VARIABLE}.",
            )
        return PseudonymKey(text, True)

    @property
    def lock(self) -> Path:
        """The file whose lock a run holds."""
        return self.path / "run.lock"
