"""The key for pseudonyms: when it is needed, and errors if it is missing or made up."""

from collections.abc import Collection

import duckdb
from dbt.contracts.graph.manifest import Manifest

from flows.config.settings import KEY_VARIABLE, MAKE_KEY, DataFolder
from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.lake.catalog import loaded_tables

MACRO = "macro.ml_warehouse.pseudonymise"
MADE_UP = (
    f"Pseudonyms are made with a made-up key, which protects no person. For data of real people set {KEY_VARIABLE}."
)


def require_pseudonym_key(folder: DataFolder, manifest: Manifest, wanted: Collection[TableName]) -> tuple[str, ...]:
    """Check that there is a key if a wanted or loaded table has ids that become pseudonyms.

    Returns a note if the key is made up. Raises UsageError if there is no key: dbt could not build the models.
    """
    tables = pseudonymised(manifest)
    concerned = sorted((tables & set(wanted)) | loaded_tables(folder.lake, tables))
    if not concerned:
        return ()
    key = folder.pseudonym_key
    if key is None:
        raise UsageError(
            f"There is no key for the pseudonyms of {', '.join(map(str, concerned))}: {KEY_VARIABLE} is not set. "
            "Nothing was read; the published release is unchanged.",
            f"Make a key, keep it where secrets are kept, and set it: export {KEY_VARIABLE}=$({MAKE_KEY})",
        )
    return (MADE_UP,) if key.is_made_up else ()


def pseudonymised(manifest: Manifest) -> set[TableName]:
    """Return the source tables that a model with pseudonyms reads directly."""
    return {
        TableName(source.source_name, source.name)
        for node in manifest.nodes.values()
        if node.resource_type == "model" and MACRO in node.depends_on.macros
        for source in map(manifest.sources.get, node.depends_on.nodes)
        if source is not None
    }


def hand_over_key(connection: duckdb.DuckDBPyConnection, folder: DataFolder) -> None:
    """Give a session the key and its fingerprint, if there is one; without it a pseudonym raises an error."""
    if (key := folder.pseudonym_key) is not None:
        connection.execute("set variable pseudonym_key = ?", [key.text.encode()])
        connection.execute("set variable pseudonym_key_fingerprint = ?", [key.fingerprint])
