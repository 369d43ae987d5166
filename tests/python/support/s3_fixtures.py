"""An S3 server that can fail; a module requests it by `pytest_plugins = ["support.s3_fixtures"]`."""

from collections.abc import Iterator

import pytest

from flows.core import object_store
from tests.services.s3 import S3Server, s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with s3() as running:
        yield running


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Lead this process to the server, whose faults are mended afterwards; the pauses between tries are short."""
    for name in ("AWS_CONDITIONAL_PUT", "AWS_ALLOW_HTTP", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_store, "RETRIES", 4)
    monkeypatch.setattr(object_store, "LONGEST_PAUSE", 0.3)
    object_store._store.cache_clear()
    yield s3_server
    s3_server.refuse()
    object_store._store.cache_clear()
