"""Options of a REST API: its credentials, its rate limit, and how an endpoint's records and pages are read."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flows.config.validation import ConfigModel, OneOf, Span, Text


class Rate(Span):
    """The highest rate of requests."""

    count: int = Field(strict=True, ge=1)


class Basic(ConfigModel):
    """A user and a password."""

    user: Text
    password: Text


class Key(OneOf):
    """A key, in a header or a query parameter."""

    kinds = ("header", "param")

    header: Text = ""
    param: Text = ""
    value: Text


class OAuth2(ConfigModel):
    """A client's credentials, for which tokens are fetched and renewed."""

    token_url: Text
    client_id: Text
    client_secret: Text
    scope: Text = ""
    audience: Text = ""


class Auth(OneOf):
    """Credentials. All values are templates until they are used; take secrets from env_var."""

    kinds = ("bearer", "basic", "key", "oauth2")

    bearer: Text = Field(default="", description="A token")
    basic: Basic | None = None
    key: Key | None = None
    oauth2: OAuth2 | None = None

    @property
    def values(self) -> Mapping[str, str]:
        """The templates of the credentials, by name."""
        if self.bearer:
            return {"token": self.bearer}
        chosen: ConfigModel | None = getattr(self, self.kind, None)
        return {} if chosen is None else chosen.model_dump(exclude_unset=True)


LONGEST_PATH = 10
"""Parts of a dotted path up to which keys that hold dots are looked for."""

SIZED = {"limit", "size", "has_more"}
FURTHER_KEYS = {
    "next": {*SIZED},
    "link_header": {*SIZED},
    "cursor": {"param", *SIZED},
    "offset": {"first", *SIZED},
    "page": {"first", *SIZED},
}
"""Kinds of paging, and the further keys of each."""


class Paging(OneOf):
    """Pagination."""

    kinds = tuple(FURTHER_KEYS)

    next: Text = Field(default="", description="Path of the next page's link in the response, such as links.next")
    link_header: Text = Field(default="", description="Name of the next page's link in the Link header: next")
    cursor: Text = Field(default="", description="Path of the next page's cursor in the response")
    offset: Text = Field(default="", description="Parameter for the number of records to skip")
    page: Text = Field(default="", description="Parameter for the number of the page")
    param: Text = Field(default="", description="Parameter that takes the cursor, or its path in body")
    first: int = Field(default_factory=lambda data: 1 if data.get("page") else 0, strict=True, ge=0)
    limit: Text = Field(default="", description="Parameter for the size of a page")
    size: int | None = Field(default=None, description="Size of a page", strict=True, ge=1)
    has_more: Text = Field(default="", description="Path of a flag for further pages")

    @property
    def at(self) -> str:
        """The value of the key that is its kind."""
        return getattr(self, self.kind) if self.kind else ""

    @model_validator(mode="after")
    def _require_what_belongs_to_its_kind(self) -> Self:
        known = FURTHER_KEYS[self.kind]
        if unknown := sorted(self.model_fields_set - known - {self.kind}):
            raise ValueError(
                f"has unknown keys: {', '.join(unknown)}; {self.kind} takes {', '.join(sorted(known)) or 'no other'}"
            )
        if self.kind == "cursor" and not self.param:
            raise ValueError("has no param: the query parameter that takes the cursor, or its path in body")
        if bool(self.limit) != (self.size is not None):
            raise ValueError("has only one of limit and size; write both, such as limit: per_page, size: 500")
        return self


class Endpoint(ConfigModel):
    """How an endpoint is requested and its JSON is read. Paths are dotted, such as `links.next`.

    A key that holds dots itself, such as `@odata.nextLink`, is written as it is.
    """

    records: str = Field(default="", description="REST: path of the list of records; default: the body itself")
    total: str = Field(default="", description="REST: path of the number of all records")
    error: str = Field(default="", description="REST: path of a field that only error responses have")
    since: str = Field(default="", description="REST: parameter that takes the watermark, or its path in body")
    since_format: Literal["iso", "date", "epoch", "epoch_ms"] | None = None
    method: Literal["get", "post"] = Field(default="get", description="REST: post for searches")
    body: dict[str, Any] = Field(default={}, description="REST: what is posted; templates are filled in")
    paging: Paging = Field(default_factory=Paging.model_construct, description="REST: pagination")

    @model_validator(mode="after")
    def _require_what_can_be_asked(self) -> Self:
        if self.since_format and not self.since:
            raise ValueError("has since_format and no since; write the parameter that takes the watermark")
        if self.method == "post":
            self._require_room_in_body()
        elif "body" in self.model_fields_set:
            raise ValueError("has a body and no method: post; write the parameters of a get after `from`, as ?…")
        return self

    def _require_room_in_body(self) -> None:
        """Raise ValueError for a parameter without a place in the body."""
        paging, body = self.paging, self.body
        try:
            json.dumps(body)
        except TypeError:
            raise ValueError("has a body that is not JSON; write dates in quotes") from None
        if paging.kind in ("next", "link_header"):
            raise ValueError("posts, and a link cannot be posted to; write paging by cursor, offset or page")
        for place in filter(None, [self.since, paging.limit, paging.param or paging.at]):
            try:
                body = placed(body, place, "")
            except ValueError:
                raise ValueError(f"has no place in its body for {place!r}; a path leads through maps") from None


def dotted_keys(dotted: str) -> list[list[str]]:
    """Return the readings of a dotted path as nested keys, those with the longest first key first.

    `a.b.c` is the key a.b.c, else a.b and in it c, and so on: keys such as @odata.nextLink hold dots themselves.
    """
    parts = [part for part in dotted.split(".") if part]
    if len(parts) > LONGEST_PATH:
        return [parts]
    readings = [[dotted]] if dotted.strip(".") else [[]]
    for length in range(len(parts) - 1, 0, -1):
        first = ".".join(parts[:length])
        readings += [[first, *rest] for rest in dotted_keys(".".join(parts[length:]))]
    return readings


def placed(node: Any, dotted: str, value: Any) -> Any:
    """Return a copy of a request's body with a value at a dotted path, through maps, and lists by number.

    A key that the body has may hold dots itself. Raises ValueError where something else is in the way.
    """
    parts = dotted.strip(".").split(".")
    if parts == [""]:
        return value
    if isinstance(node, Mapping):
        lengths = (length for length in range(len(parts), 1, -1) if ".".join(parts[:length]) in node)
        length = next(lengths, 1)
        part, rest = ".".join(parts[:length]), ".".join(parts[length:])
        return {**node, part: placed(node.get(part, {}), rest, value)}
    part, rest = parts[0], ".".join(parts[1:])
    if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
        return [*node[: int(part)], placed(node[int(part)], rest, value), *node[int(part) + 1 :]]
    raise ValueError(part)
