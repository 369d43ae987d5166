"""The hash of a configuration: if it changes, nothing counts as read before, and everything is read again.

It is made of what people write, by the keys that they write. So neither the names of classes and fields nor their
order count, nor a key that a later version adds with a default. Whoever changes a default must see to it otherwise.
"""

import hashlib
import json

from flows.config.connections import TableMapping
from flows.config.contract import Contract, Derivation


def hash_config(mapping: TableMapping, contract: Contract) -> str:
    """Return a hash of what decides which records are read, and which are accepted."""
    accepted = contract.model_dump(
        mode="json", exclude_defaults=True, include={"columns", "key", "load", "on_extra_column", "future_tolerance"}
    )
    accepted["columns"].sort(key=lambda column: column["name"])
    read = mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name", "lookback"})
    return _hash({"contract": accepted, "mapping": read})


def hash_derivation(derivation: Derivation, step_version: int) -> str:
    """Return a hash of what decides which rows a step makes."""
    return _hash({"derived": derivation.model_dump(mode="json"), "version": step_version})


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
