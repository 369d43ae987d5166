"""The hash of a configuration. If it changes, the next load reads everything again.

It covers the keys and values of the configuration files. So it does not depend on the names of classes and fields, or
on their order. A key that a later version adds with a default does not change it, nor does a changed default.
"""

import hashlib
import json

from flows.config.connections import TableMapping
from flows.config.contract import Contract, Derivation


def hash_config(mapping: TableMapping, contract: Contract, lookups: str = "") -> str:
    """Return a hash of all that decides which records are read and which are accepted.

    `lookups` is a hash of the content that the mapping's query joins.
    """
    accepted = contract.model_dump(
        mode="json",
        exclude_defaults=True,
        include={"columns", "key", "load", "on_extra_column", "future_tolerance", "earliest"},
    )
    accepted["columns"].sort(key=lambda column: column["name"])
    read = mapping.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "file", "connection_set", "lookback"}
    )
    return _hash({"contract": accepted, "mapping": read} | ({"lookups": lookups} if lookups else {}))


def hash_derivation(derivation: Derivation, step_version: int) -> str:
    """Return a hash of all that decides which rows a step makes."""
    return _hash({"derived": derivation.model_dump(mode="json"), "version": step_version})


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
