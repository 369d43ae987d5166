"""Requests to a REST API: within its rate limit, with retries, and with credentials for its own host only."""

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from flows.config import settings
from flows.config.connections import Connection
from flows.config.rest_options import placed
from flows.core.errors import SourceFailed, UsageError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.sources.batches import LOOK_SECONDS
from flows.sources.rest.answers import AnswerRefused, bound, describe, limit, seconds_to_wait
from flows.sources.rest.auth import NoToken, authentication

ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0
REDIRECTS = 5
HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip"}
OF_THE_REQUEST = (httpx.LocalProtocolError, httpx.UnsupportedProtocol)
NO_SUCH_PAGE = (400, 404, 410, 416, 422)
"""Statuses with which servers answer a request for a page past the last one."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each URL, and a URL may hold a key


@dataclass(frozen=True)
class ApiRequest:
    """A request: a URL, and the body to post to it, or None to get it."""

    url: httpx.URL
    body: Mapping[str, Any] | None = None

    def having(self, name: str, value: Any) -> "ApiRequest":
        """Return the request with a query parameter; with a value in its body if it has one."""
        if self.body is not None:
            return replace(self, body=placed(self.body, name, value))
        return replace(self, url=self.url.copy_set_param(name, value if isinstance(value, str) else json.dumps(value)))

    def text(self) -> str:
        """Return a text that no other request has."""
        return f"{self.url} {json.dumps(self.body, sort_keys=True)}"


class NoSuchPage(SourceFailed):
    """A status with which many servers answer past their last page, and others a wrong path."""


class RetryLater(Exception):
    """A response that asks for a retry: too many requests, or a failure of the server."""

    def __init__(self, status: int, seconds: float | None) -> None:
        wait = "" if seconds is None else f", and asks to wait for {seconds:,.0f} seconds"
        super().__init__(f"HTTP status {status}{wait}")
        self.seconds = seconds

    @property
    def is_worth_waiting(self) -> bool:
        """Tell whether the wait that it asks for is short enough; an earlier retry would be rude."""
        return self.seconds is None or self.seconds <= LONGEST_WAIT_SECONDS


class RateLimiter:
    """The time of the next request; tables that are read at the same time share it."""

    def __init__(self, pause_seconds: float) -> None:
        self._interval, self._next, self._lock = pause_seconds, 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            turn = max(time.monotonic(), self._next)
            self._next = turn + self._interval
        time.sleep(max(turn - time.monotonic(), 0.0))

    def pause(self, seconds: float) -> None:
        """Send nothing for some seconds."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class RestClient:
    """The client of one table; open it as a context. With `is_look`, it asks once, and waits LOOK_SECONDS."""

    def __init__(self, connection: Connection, table: TableName, *, is_look: bool = False) -> None:
        self._table, self._file = str(table), f"{connection.file} under {connection.title}"
        self._attempts = 1 if is_look else ATTEMPTS
        try:
            self._base = httpx.URL(connection.url().rstrip("/") + "/")
        except httpx.InvalidURL:
            raise UsageError(
                f"{connection.file}: the url of {connection.title} is not a valid URL.", "Fix it."
            ) from None
        if not self._base.host:
            raise UsageError(f"{connection.file}: the url of {connection.title} has no host.", "Fix it.")
        if self._base.userinfo:
            raise UsageError(
                f"{connection.file}: the url of {connection.title} holds a user.",
                "Write it as auth: {basic: {user: …, password: …}}, so that it goes with every page.",
            )
        self._limiter = _limiter(str(self._base), connection.pause_seconds)
        settings.reach_loopback_directly()
        self._http = httpx.Client(
            headers=HEADERS,
            timeout=LOOK_SECONDS if is_look else TIMEOUT_SECONDS,
            auth=authentication(connection),
            event_hooks={"response": [bound]},
        )

    def __enter__(self) -> "RestClient":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._http.close()

    def url(self, path: str) -> httpx.URL:
        """Return the URL of a path of this API."""
        return self.join(self._base, path.lstrip("/"))

    def join(self, url: httpx.URL, link: str) -> httpx.URL:
        """Return the URL of a link; raises SourceFailed if it is not valid, or of another host."""
        try:
            found = httpx.URL(urljoin(str(url), link))
        except (httpx.InvalidURL, ValueError):
            raise self.failed("the link to its next page is not a valid URL", "Ask the API's owner.") from None
        if not self._is_own(found):
            raise self.failed(
                f"its next page is on another host, {found.netloc.decode()}; "
                "no request and no credentials were sent to it",
                "Ask the API's owner.",
            )
        return found

    def fetch(self, request: ApiRequest) -> httpx.Response:
        """Return the response to a request, which has the status 200 or 204; raises SourceFailed."""
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_is_worth_a_retry),
                stop=stop_after_attempt(self._attempts),
                wait=_wait,
                reraise=True,
            ):
                with attempt:
                    return self._follow(request)
        except RetryLater as error:
            raise self._unavailable(request, str(error), is_patient=error.is_worth_waiting) from None
        except OF_THE_REQUEST as error:
            raise self.failed(
                f"{request.url.path}: no request can be sent ({type(error).__name__})",
                f"Look at the url, and at header names and values in auth, in {self._file}.",
            ) from None
        except httpx.RequestError as error:
            is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise self._unavailable(request, describe(error), is_patient=True, is_unreachable=is_unreachable) from None
        except AnswerRefused as error:
            raise self.failed(f"{request.url.path}: {describe(error)}", "Fix its mapping, or ask its owner.") from None
        except (NoToken, httpx.InvalidURL) as error:
            cause = str(error) if isinstance(error, NoToken) else "the token_url is not a valid URL"
            raise self.failed(cause, f"Check auth.oauth2 in {self._file}, and its variables.") from None
        raise AssertionError("a retry either returns or raises")

    def failed(self, cause: str, remedy: str) -> SourceFailed:
        """Return the error of this table's API."""
        return SourceFailed(self._table, scrub(cause), remedy)

    def _unavailable(
        self, request: ApiRequest, cause: str, *, is_patient: bool, is_unreachable: bool = False
    ) -> SourceFailed:
        tried = f" after {self._attempts} attempts" if is_patient and self._attempts > 1 else ""
        text = scrub(f"{request.url.netloc.decode()}{request.url.path}: {cause}{tried}")
        remedy = f"Run again once the API answers, or fix the url in {self._file}."
        return SourceFailed(self._table, text, remedy, is_patient, is_unreachable)

    def _follow(self, request: ApiRequest) -> httpx.Response:
        """Send a request, and again where the same server redirects it to; a post is only repeated as a post."""
        for _ in range(REDIRECTS):
            response = self._send(request)
            if not response.has_redirect_location:
                return response
            if request.body is not None and response.status_code not in (307, 308):
                raise self._redirected(request, response, "a post is not repeated there as a get")
            request = replace(request, url=self._target(request, response))
        raise self._redirected(request, response, f"it redirects more than {REDIRECTS} times")

    def _target(self, request: ApiRequest, response: httpx.Response) -> httpx.URL:
        """Return the target of a redirect; raises SourceFailed if it is another server."""
        try:
            target = httpx.URL(urljoin(str(request.url), response.headers["Location"]))
        except (httpx.InvalidURL, ValueError):
            raise self._redirected(request, response, "its target is not a valid URL") from None
        if not self._is_own(target):
            raise self._redirected(request, response, "which is another server; nothing was sent there")
        return target

    def _redirected(self, request: ApiRequest, response: httpx.Response, cause: str) -> SourceFailed:
        """Return the error of a redirect; it names the target without its query, which may hold a secret."""
        try:
            target = httpx.URL(urljoin(str(request.url), response.headers.get("Location", "")))
            named = f" to {target.scheme}://{target.netloc.decode(errors='replace')}{target.path}"
        except (httpx.InvalidURL, ValueError):
            named = ""
        return self.failed(
            f"{request.url.path} answered with HTTP status {response.status_code}, a redirect{named}: {cause}",
            f"If you trust the target, write it as the url, or the path as `from`, in {self._file}.",
        )

    def _is_own(self, url: httpx.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)

    def _send(self, request: ApiRequest) -> httpx.Response:
        self._limiter.wait()
        try:
            response = self._http.request("GET" if request.body is None else "POST", request.url, json=request.body)
        except NoToken as error:
            if _is_transient(error.status):
                raise RetryLater(error.status, None) from None
            raise
        seconds, status = seconds_to_wait(response), response.status_code
        if _is_transient(status) or (status == httpx.codes.FORBIDDEN and limit(response, "Remaining") == 0):
            raise RetryLater(status, seconds)
        if status not in (httpx.codes.OK, httpx.codes.NO_CONTENT) and not response.has_redirect_location:
            kind = NoSuchPage if status in NO_SUCH_PAGE else SourceFailed
            raise kind(
                self._table,
                scrub(f"{request.url.netloc.decode()}{request.url.path} answered with HTTP status {status}"),
                f"Check the url, the endpoint and auth in {self._file}.",
            )
        if seconds is not None and seconds <= LONGEST_WAIT_SECONDS:
            self._limiter.pause(seconds)
        return response


@cache
def _limiter(_url: str, pause_seconds: float) -> RateLimiter:
    """Return the one rate limiter of an API, for all tables of a run."""
    return RateLimiter(pause_seconds)


def _is_transient(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _is_worth_a_retry(error: BaseException) -> bool:
    if isinstance(error, RetryLater):
        return error.is_worth_waiting
    return isinstance(error, httpx.RequestError) and not isinstance(error, OF_THE_REQUEST)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    seconds = error.seconds if isinstance(error, RetryLater) else None
    return seconds if seconds is not None else wait_exponential_jitter(multiplier=0.5, max=20)(state)
