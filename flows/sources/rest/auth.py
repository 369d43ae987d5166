"""Authentication at a REST API: a token, a user and password, a key, or OAuth 2 client credentials."""

import threading
import time
from collections.abc import Generator
from functools import cache
from urllib.parse import quote_plus

import httpx

from flows.config.connections import Connection
from flows.core.redaction import remember_secret

MARGIN_SECONDS = 60.0
"""How long before it expires a token is renewed; a short-lived one, a tenth of its life before."""


class NoToken(Exception):
    """A token endpoint that gives no token, with the HTTP status of its response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the token endpoint gives no token, it answered with HTTP status {status}")
        self.status = status


def authentication(connection: Connection) -> httpx.Auth:
    """Return the authentication of a connection; raises UsageError for values that are missing or cannot be sent."""
    values = connection.credentials()
    match connection.auth.kind:
        case "bearer":
            return HeaderKey("Authorization", f"Bearer {values['token']}")
        case "basic":
            return httpx.BasicAuth(values["user"], values["password"])
        case "key" if "header" in values:
            return HeaderKey(values["header"], values["value"])
        case "key":
            return ParameterKey(values["param"], values["value"])
        case "oauth2":
            return _client_credentials(**values)
    return httpx.Auth()


class HeaderKey(httpx.Auth):
    """A secret in a header."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with the header."""
        request.headers[self._name] = self._value
        yield request


class ParameterKey(httpx.Auth):
    """A secret in a query parameter; only the request that is sent has it, so no URL that is kept or shown has it."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with the parameter."""
        request.url = request.url.copy_set_param(self._name, self._value)
        yield request


class ClientCredentials(httpx.Auth):
    """OAuth 2 client credentials (RFC 6749, 4.4): a token is fetched, and renewed before or when it expires."""

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, client_secret: str, **further: str) -> None:
        self._url, self._client_id, self._client_secret = token_url, client_id, client_secret
        self._fields = {"grant_type": "client_credentials", **further}
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._secret_goes_into_form = False

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with a token, and again with a new one if the token is refused. Raises NoToken."""
        token = yield from self._valid_token(request, refused=None)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            token = yield from self._valid_token(request, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    def _valid_token(
        self, request: httpx.Request, *, refused: str | None
    ) -> Generator[httpx.Request, httpx.Response, str]:
        """Return the token that all tables share; renew it if it is about to expire or was refused."""
        with self._lock:
            if self._token is None or self._token == refused or time.monotonic() >= self._renew_at:
                self._token = yield from self._new_token(request)
            return self._token

    def _new_token(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, str]:
        """Fetch a token with the secret in a header, as the standard wants, then in the form, as many servers do."""
        in_form = self._secret_goes_into_form
        response = yield self._request(request, in_form)
        if response.status_code in (400, 401) and not in_form:
            in_form = True
            response = yield self._request(request, in_form)
        token, lifetime = _read_token(response)
        remember_secret(token)
        self._secret_goes_into_form = in_form
        self._renew_at = time.monotonic() + lifetime - min(MARGIN_SECONDS, lifetime / 10)
        return token

    def _request(self, request: httpx.Request, in_form: bool) -> httpx.Request:
        secret = {"client_id": self._client_id, "client_secret": self._client_secret} if in_form else {}
        token_request = httpx.Request(
            "POST",
            self._url,
            data=self._fields | secret,
            headers={"Accept": "application/json"},
            extensions={"timeout": request.extensions["timeout"]},
        )
        basic = httpx.BasicAuth(quote_plus(self._client_id), quote_plus(self._client_secret))
        return token_request if in_form else next(basic.auth_flow(token_request))


def _read_token(response: httpx.Response) -> tuple[str, float]:
    """Return a token and its lifetime in seconds."""
    try:
        fields = response.json() if response.status_code == httpx.codes.OK else {}
        token, lifetime = fields["access_token"], float(fields.get("expires_in") or "inf")
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NoToken(response.status_code) from None
    if not (isinstance(token, str) and token and token.isascii() and token.isprintable()):
        raise NoToken(response.status_code)
    return token, lifetime


@cache
def _client_credentials(**values: str) -> ClientCredentials:
    """Return the one authentication of a client, for all tables of a run."""
    return ClientCredentials(**values)
