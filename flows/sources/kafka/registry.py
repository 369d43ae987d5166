"""A schema registry: schemas by their ids, as Confluent's interface gives them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from flows.core.errors import SourceFailed
from flows.core.redaction import remember_secret
from flows.sources.kafka.schemas import MessageSchema, registered_schema

SECONDS = 20
NOT_FOUND = 404
MOST_REFERENCES = 100


class Registry:
    """Schemas of a registry; each is asked for once, and one that is unknown as well."""

    def __init__(self, url: str, failed: Callable[[str], SourceFailed]) -> None:
        parts = urlsplit(url)
        userinfo, _, place = parts.netloc.rpartition("@")
        user, _, password = userinfo.partition(":")
        if password:
            remember_secret(unquote(password))
        self._auth = httpx.BasicAuth(unquote(user), unquote(password)) if userinfo else None
        self._url = parts._replace(netloc=place).geturl().rstrip("/")
        self._failed = failed
        self._found: dict[int, MessageSchema | None] = {}

    def find(self, number: int) -> MessageSchema | None:
        """Return the schema of an id; None if the registry does not know it.

        Raises SourceFailed if it does not answer, ValueError for a schema that cannot be used.
        """
        if number not in self._found:
            answer = self._ask(f"/schemas/ids/{number}")
            self._found[number] = None if answer is None else self._schema(number, answer)
        return self._found[number]

    def _schema(self, number: int, answer: dict[str, Any]) -> MessageSchema:
        kind = answer.get("schemaType", "AVRO")
        if kind == "PROTOBUF":
            answer = self._ask(f"/schemas/ids/{number}?format=serialized") or answer
        references: dict[str, str] = {}
        self._gather(answer, kind, references)
        return registered_schema(kind, answer["schema"], references)

    def _gather(self, answer: dict[str, Any], kind: str, references: dict[str, str]) -> None:
        """Gather the schemas that a schema names, each after those that it names itself."""
        for one in answer.get("references") or []:
            if one["name"] in references or len(references) > MOST_REFERENCES:
                continue
            form = "?format=serialized" if kind == "PROTOBUF" else ""
            subject = quote(one["subject"], safe="")  # of a file of Protobuf it is a path, such as common/money.proto
            further = self._ask(f"/subjects/{subject}/versions/{one['version']}{form}")
            if further is None:
                raise ValueError("has a schema that names another, which the registry does not know")
            self._gather(further, kind, references)
            references[one["name"]] = further["schema"]

    def _ask(self, path: str) -> dict[str, Any] | None:
        try:
            answer = httpx.get(f"{self._url}{path}", auth=self._auth, timeout=SECONDS)
        except httpx.HTTPError as error:
            raise self._failed(f"the schema registry does not answer: {type(error).__name__}") from None
        if answer.status_code == NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise self._failed(f"the schema registry answers with status {answer.status_code}")
        found: dict[str, Any] = answer.json()
        return found
