"""REST sources: authentication, tokens that expire, and secrets that reach no other server and no message."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from support.rest_api import Answer, Api, Asked, Serve, connect, page, people
from support.shop import Shop

from flows.core.errors import SourceFailed, UsageError
from flows.core.redaction import scrub
from flows.sources.rest import client as rest_client

pytest_plugins = ["support.rest_fixtures"]

SECRET = "c4nary-5ecret/+ü"
PLAIN = "c4nary-5ecret"
OAUTH2 = {"client_id": "shop", "client_secret": "{{ env_var('PEOPLE_SECRET') }}"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLE_SECRET", SECRET)
    monkeypatch.setenv("PEOPLE_PLAIN", PLAIN + "\n")


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def two_pages(asked: Asked) -> Answer:
    return page(people(2)) if "page" in asked.params else page(people(1), next="?page=2")


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ({"bearer": "{{ env_var('PEOPLE_PLAIN') }}"}, lambda one: one.headers["authorization"] == f"Bearer {PLAIN}"),
        (
            {"basic": {"user": "shop", "password": "{{ env_var('PEOPLE_SECRET') }}"}},
            lambda one: one.headers["authorization"] == basic("shop", SECRET),
        ),
        (
            {"key": {"header": "X-Api-Key", "value": "{{ env_var('PEOPLE_PLAIN') }}"}},
            lambda one: one.headers["x-api-key"] == PLAIN,
        ),
        (
            {"key": {"param": "key", "value": "{{ env_var('PEOPLE_PLAIN') }}"}},
            lambda one: one.params["key"] == PLAIN,
        ),
    ],
    ids=["bearer", "basic", "header", "parameter"],
)
def test_fault_58_each_page_is_asked_for_by_name_and_nobody_hears_of_it(
    shop: Shop,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    auth: dict[str, Any],
    seen: Callable[[Asked], bool],
) -> None:
    """Each request had its secrets, a failed one too; no log, message or file contains them (F)."""
    # Given an API of two pages that needs authentication
    caplog.set_level("DEBUG")
    api = serve(two_pages)
    connect(shop, api, auth, paging={"next": "next"})

    # When it is loaded, and then fails
    assert shop.load().counts.accepted == 2
    api.answer = lambda _: (403, {}, b"no")
    with pytest.raises(SourceFailed) as failure:
        shop.load()

    # Then each request was authenticated, and no log or file contains the secret
    assert len(api.requests) == 3
    assert all(map(seen, api.requests))
    assert "c4nary" not in str(failure.value) + repr(failure.value) + caplog.text
    written = [path for path in shop.lake.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if b"c4nary" in path.read_bytes()]


class Issuer:
    """A token endpoint with a new token per request; with `wants_form`, the client's secret must be in the form."""

    def __init__(self, lifetime: Any = 3600, wants_form: bool = False) -> None:
        self.lifetime, self.wants_form = lifetime, wants_form
        self.issued = 0
        self.valid = ""

    def answer(self, asked: Asked) -> Answer:
        by_form = (asked.form.get("client_id"), asked.form.get("client_secret")) == ("shop", SECRET)
        by_header = asked.headers.get("authorization") == basic("shop", "c4nary-5ecret%2F%2B%C3%BC")
        if asked.form["grant_type"] != "client_credentials" or not (by_form if self.wants_form else by_header):
            return 401, {}, b'{"error": "invalid_client"}'
        self.issued += 1
        self.valid = f"r4n-t0ken-{self.issued}"
        return 200, {}, f'{{"access_token": "{self.valid}", "expires_in": "{self.lifetime}"}}'.encode()

    def guard(self, answer: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        """Accept only the newest token."""
        return lambda asked: (
            answer(asked) if asked.headers.get("authorization") == f"Bearer {self.valid}" else (401, {}, b"")
        )


def oauth2(issuing: Api, **further: str) -> dict[str, Any]:
    return {"oauth2": {"token_url": f"{issuing.url}/token", **OAUTH2, **further}}


@pytest.mark.parametrize("wants_form", [False, True])
def test_a_token_is_fetched_once_for_all_pages_and_loads(shop: Shop, serve: Serve, wants_form: bool) -> None:
    # Given an API whose tokens come from another server, for a scope
    issuer = Issuer(wants_form=wants_form)
    issuing = serve(issuer.answer)
    connect(shop, serve(issuer.guard(two_pages)), oauth2(issuing, scope="people:read"), paging={"next": "next"})

    # When it is loaded, twice, then one token is enough
    assert shop.load().counts.accepted == 2
    assert shop.load().counts.known == 2
    assert issuer.issued == 1
    assert issuing.requests[-1].form["scope"] == "people:read"


def test_fault_47_a_token_that_expires_in_the_middle_is_renewed_and_the_page_asked_for_again(
    shop: Shop, serve: Serve
) -> None:
    """A token was refused at the second of three pages; a new one was requested, and no page was read twice (I)."""
    # Given an API that refuses the token at its second page
    issuer = Issuer()
    issuing = serve(issuer.answer)
    shown = []

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 1))
        shown.append(number)
        if number == 1:
            issuer.valid = "forgotten"
        return page(people(number), next=f"?page={number + 1}" if number < 3 else None)

    api = serve(issuer.guard(answer))
    connect(shop, api, oauth2(issuing), paging={"next": "next"})

    # When it is loaded, then it continues at the second page
    assert shop.load().counts.accepted == 3
    assert (shown, issuer.issued, len(api.requests)) == ([1, 2, 3], 2, 4)


def test_fault_47_a_token_is_renewed_before_it_expires(shop: Shop, serve: Serve) -> None:
    """Tokens expired at once; each request had a new one, and no request was refused (I)."""
    # Given tokens that expire as soon as they are issued
    issuer = Issuer(lifetime=0.000001)
    issuing = serve(issuer.answer)
    api = serve(issuer.guard(two_pages))
    connect(shop, api, oauth2(issuing), paging={"next": "next"})

    # When it is loaded, then no request is refused
    assert shop.load().counts.accepted == 2
    assert (issuer.issued, len(api.requests)) == (2, 2)


def test_fault_47_a_token_that_is_refused_again_fails_the_load(
    shop: Shop, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """An API refused every token; after one renewal the load failed, and no log or message contains a token (F)."""
    # Given an API that refuses all tokens
    caplog.set_level("DEBUG")
    issuer = Issuer()
    issuing = serve(issuer.answer)
    api = serve(lambda _: (401, {}, b""))
    connect(shop, api, oauth2(issuing))

    # When it is loaded, then one more token is tried
    with pytest.raises(SourceFailed, match="HTTP status 401") as failure:
        shop.load()
    assert (issuer.issued, len(api.requests)) == (2, 2)

    # And tokens are hidden like secrets of the environment
    assert "r4n-t0ken" not in str(failure.value) + caplog.text
    assert scrub("they say r4n-t0ken-1 and r4n-t0ken-2") == "they say *** and ***"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((403, {}, b"no"), "gives no token, it answered with HTTP status 403"),
        ((200, {}, b"<html>"), "gives no token, it answered with HTTP status 200"),
        ((200, {}, b'{"access_token": "a\\nb"}'), "gives no token"),
        ((503, {}, b""), "HTTP status 503 after 2 attempts"),
    ],
)
def test_fault_42_47_a_token_that_cannot_be_had_fails_the_load(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: Answer, says: str
) -> None:
    """A token endpoint gave no token; the load failed before any request to the API (F)."""
    # Given such a token endpoint
    monkeypatch.setattr(rest_client, "ATTEMPTS", 2)
    issuing, api = serve(lambda _: answer), serve(two_pages)
    connect(shop, api, oauth2(issuing))

    # When it is loaded, then the error says so, and the API gets no request
    with pytest.raises(SourceFailed, match=says) as failure:
        shop.load()
    assert "c4nary" not in str(failure.value)
    assert api.asked == []


@pytest.mark.parametrize(
    ("further", "says"),
    [
        ({"auth": {}}, "auth has no kind; write one of bearer, basic"),
        ({"auth": {"bearer": "a", "basic": {}}}, "auth has bearer and basic"),
        ({"auth": {"basic": {"user": "a"}}}, "auth.basic.password is missing"),
        ({"auth": {"key": {"value": "a"}}}, "auth.key has no kind; write one of header, param"),
        ({"auth": {"key": {"header": "a", "param": "b", "value": "c"}}}, "auth.key has header and param"),
        ({"auth": {"key": {"header": "a", "value": "c", "prefix": "d"}}}, "auth.key has unknown keys: prefix"),
        (
            {"auth": {"oauth2": {"token_url": "a"}}},
            r"oauth2.client_id is missing.\n.*client_secret is missing",
        ),
        ({"auth": {"bearer": "{{ env_var('PEOPLE_PLAIN') }}ü"}}, "no HTTP header can carry"),
        ({"auth": {"bearer": "{{ env_var('PEOPLE_EMPTY', '') }}"}}, "is empty"),
        ({"rate": {"count": 0, "period": "second"}}, "rate.count is 0; write 1 or more"),
        ({"rate": {"count": 1, "period": "week"}}, "rate.period is 'week'; write 'second', 'minute'"),
        ({"url": "https://me:you@api.example.com"}, "holds a user"),
        ({"url": "https://api.example.com:port"}, "the url of test.crm is not a valid URL"),
    ],
)
def test_a_connection_that_cannot_be_followed_is_told(shop: Shop, further: dict[str, Any], says: str) -> None:
    # Given such a connection
    shop.declare("crm.people")
    shop.connect(**{"url": "https://api.example.com", **further})

    # When it is loaded, then the error names the mistake, and no value from the environment
    with pytest.raises(UsageError, match=says) as failure:
        shop.load()
    assert "c4nary" not in str(failure.value)
