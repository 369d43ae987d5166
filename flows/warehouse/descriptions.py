"""The comments of a release: the meaning of each table and column, as plain text that every client shows.

They are composed from dbt's descriptions when a release is published, and read back by `flows tables` and `describe`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # dbt takes seconds to import, and the commands that read comments do not need it
    from dbt.contracts.graph.manifest import Manifest

CLASSES = {"pii": "Personal data", "phi": "Health data"}
"""The tags of a column's meta, as a comment says them."""

CODE = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
MARKUP = re.compile(r"\*\*(.+?)\*\*|`([^`\n]+)`|\[([^\]]+)\]\([^)\s]+\)", re.DOTALL)
LIST_ITEM = re.compile(r"\s*(?:[-*] |[|]|\d+\. )")
CLASSED = re.compile(rf"\s*({'|'.join(CLASSES.values())}): ([^.]+)\.$")
DEFAULT = "default_"
"""The beginning of the names of seeds that hold the default rows of a table of rules."""

SNAPSHOT_COLUMNS = {
    "dbt_scd_id": "Key of the row, made by dbt.",
    "dbt_updated_at": "When dbt first saw this state, in UTC.",
    "dbt_valid_from": "Since when this state is published, in UTC.",
    "dbt_valid_to": "Until when it was published, in UTC; null for the present state.",
}
"""The columns that dbt adds to a snapshot."""

LABELS = {"key": "Key", "owner": "Owner", "sources": "Sources", "used_by": "Used by"}
EXAMPLE = "Example:\n"
SENTENCE = re.compile(r".+?[.?!](?=\s|$)", re.DOTALL)


@dataclass(frozen=True)
class Description:
    """The description of a table or function: paragraphs of plain text, an example query, and facts of its model.

    `sources` are the tables of the contract that it descends from, `used_by` the uses that dbt calls exposures.
    """

    text: str = ""
    example: str = ""
    key: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()

    @classmethod
    def parse(cls, comment: str) -> "Description":
        """Read a comment that `comment` has composed; any other text is taken as it is."""
        *paragraphs, last = comment.split("\n\n")
        facts = dict(line.partition(": ")[::2] for line in last.split("\n"))
        if not facts.keys() <= set(LABELS.values()):
            facts, paragraphs = {}, [*paragraphs, last]
        text, _, example = "\n\n".join(paragraphs).partition(EXAMPLE)
        found = {name: tuple(filter(None, facts.get(label, "").split(", "))) for name, label in LABELS.items()}
        return cls(text.strip(), example.strip(), **found)

    @property
    def comment(self) -> str:
        """The comment as it is written into the file."""
        facts = [f"{label}: {', '.join(getattr(self, name))}" for name, label in LABELS.items() if getattr(self, name)]
        return "\n\n".join(filter(None, [self.text, self.example and EXAMPLE + self.example, "\n".join(facts)]))

    @property
    def question(self) -> str:
        """The first sentence: the question that a mart answers, or what the rows of another table are."""
        found = SENTENCE.match(self.text)
        return " ".join((found[0] if found else self.text).split())


@dataclass(frozen=True)
class PublishedModel:
    """A table or function of a release with its description, and the comments of its columns by name."""

    schema: str
    name: str
    description: Description
    columns: Mapping[str, str] = field(default_factory=dict)
    is_function: bool = False
    is_mart: bool = False


BOOKKEEPING_TABLES = (
    PublishedModel(
        "main",
        "release",
        Description("What this file was made of, one row."),
        {
            "release_name": "Name of the release: its day and a number.",
            "built_at": "When the file was closed, in UTC.",
            "git_commit": "Commit of the project, marked if files differed from it.",
            "code_hash": "Hash of models, macros, seeds, vars and engines.",
            "dbt_invocation_id": "Id of dbt's last command of the build.",
            "dbt_invocation_ids": "Ids of dbt's commands of the build, one for each wave.",
            "raw_versions": "Delta version of each table of the lake that was read.",
            "tests": "Each test with its result.",
            "verified": "The batches of each table of the lake that were compared with the hashes of their commits.",
            "previous_release": "Release that readers saw before this one.",
            "variables": "Vars of the set as JSON.",
            "contents": "A hash of the rows of each table by dbt's id, and of code and inputs of what has no rows.",
            "delta_versions": "Place and version of each table that is published as a Delta table, too.",
            "held_back": "Release that each held source and table comes from, by dbt's id.",
        },
    ),
    PublishedModel(
        "main",
        "node_state",
        Description("By which code and inputs each model was last built and each test last run, one row per node."),
        {
            "unique_id": "dbt's id of the model, seed, snapshot or test.",
            "name": "Name of the node.",
            "kind": "dbt's resource type.",
            "code": "Hash of the code that the node uses.",
            "inputs": "What stood for the rows of each input, by dbt's id.",
            "output": "What stands for its rows: a hash of them, or of code and inputs.",
            "status": "dbt's result.",
            "failures": "Rows that failed the test.",
            "warnings": "Sentences of a test that warned.",
        },
    ),
    PublishedModel(
        "core",
        "incremental_state",
        Description("Batches of the lake that each incremental model holds, one row per model and input."),
        {
            "model": "Name of the incremental model.",
            "input": "Table of the lake that it reads.",
            "batch": "Newest batch of the input that it holds.",
            "row_count": "Rows of the input up to that batch.",
            "load_id": "Load that brought the batch.",
            "definition": "Hash of all that determines its rows besides its inputs.",
            "built_at": "When it was built, in UTC.",
        },
    ),
    PublishedModel(
        "core",
        "training_rows",
        Description("Of which rows of its spine each incremental training set was built, one row per model and row."),
        {
            "model": "Name of the training model.",
            "row_key": "Hash of the row's key.",
            "row_hash": "Hash of the row of the spine.",
        },
    ),
    PublishedModel(
        "core",
        "training_inputs",
        Description("What the features of each training set read, one row per model, group of features and part."),
        {
            "model": "Name of the training model.",
            "input_number": "Number of the group of features, in the order of the model.",
            "part_number": "Part of the entities, of a thousand.",
            "until_us": "Last moment of the spine, in microseconds since 1970.",
            "rows_hash": "Sum of the hashes of the part's events and states that were known by then.",
            "features": "Hash of the SQL of the features.",
            "definition": "Hash of all that determines the rows besides spine and inputs.",
        },
    ),
)
"""The tables that no model makes."""

BOOKKEEPING = {(table.schema, table.name) for table in BOOKKEEPING_TABLES}
"""Schema and name of each of them: they say of what other tables were built."""

PROFILES = ("table_profiles", "column_profiles")
"""The models that hold the history of profiles, to which each release adds rows of itself."""

LOAD_PROFILES = "load_profiles"
"""The model that holds the history of loads, to which each release adds those since the one before."""

HISTORIES = (*PROFILES, LOAD_PROFILES)
"""All of these: they are neither profiled nor compared between releases."""


def published_models(manifest: "Manifest") -> list[PublishedModel]:
    """Return the tables and functions that a release of the project holds."""
    uses: dict[str, list[str]] = {}
    for exposure in manifest.exposures.values():
        for node in exposure.depends_on_nodes:
            uses.setdefault(node, []).append(exposure.label or exposure.name)
    owners = {group.name: group.owner.name or group.name for group in manifest.groups.values()}
    return [
        PublishedModel(
            node.schema,
            node.alias,
            _describe(node, owners, _sources_of(manifest, node), uses.get(node.unique_id, [])),
            _describe_columns(manifest, node),
            is_function=node.config.materialized == "table_function",
            is_mart="marts" in node.fqn and not node.name.startswith("int_"),
        )
        for node in manifest.nodes.values()
        if node.resource_type in ("model", "seed", "snapshot") and node.config.materialized != "view"
    ]


def _describe_columns(manifest: "Manifest", node: Any) -> dict[str, str]:
    """Return the comments of a node's columns; seed default_x holds the default rows of table x, with its columns."""
    columns = {name: describe_column(column) for name, column in node.columns.items()}
    if node.resource_type == "snapshot":
        return SNAPSHOT_COLUMNS | columns
    filled = manifest.nodes.get(f"model.{node.package_name}.{node.name.removeprefix(DEFAULT)}")
    if node.resource_type == "seed" and node.name.startswith(DEFAULT) and filled is not None:
        return {name: describe_column(column) for name, column in filled.columns.items()} | columns
    return columns


def describe_column(column: Any) -> str:
    """Return the comment of a column: its description, and its class of personal data if it has one."""
    meta = column.config.meta
    classes = [f"{said}: {meta[tag]}." for tag, said in CLASSES.items() if meta.get(tag, "none") != "none"]
    return " ".join([make_plain(column.description), *classes]).strip()


def split_class(comment: str) -> tuple[str, str]:
    """Return the description of a column, and its class of personal data; that is empty if it has none."""
    found = CLASSED.search(comment)
    return (comment[: found.start()], found[2]) if found else (comment, "")


def make_plain(markdown: str) -> str:
    """Return Markdown as plain text: no marks, and a paragraph without line breaks, except in lists."""
    paragraphs = re.split(r"\n\s*\n", MARKUP.sub(lambda found: found[1] or found[2] or found[3], markdown).strip())
    return "\n\n".join(_unwrap(paragraph) for paragraph in paragraphs)


def _unwrap(paragraph: str) -> str:
    """Join the lines of a paragraph; a list keeps its lines, and begins the paragraph."""
    lines: list[str] = []
    is_list = LIST_ITEM.match(paragraph) is not None
    for line in paragraph.split("\n"):
        if lines and not (is_list and LIST_ITEM.match(line)):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.strip())
    return "\n".join(lines)


def _describe(node: Any, owners: Mapping[str, str], sources: list[str], uses: list[str]) -> Description:
    example = CODE.search(node.description)
    owner = owners.get(node.config.group)
    text = make_plain(CODE.sub("", node.description))
    if node.config.materialized == "table_function":  # DuckDB has no comments on the columns of a function
        columns = (f"- {name}, {column.data_type}: {describe_column(column)}" for name, column in node.columns.items())
        text = "\n\n".join([text, "\n".join(["Columns:", *columns])])
    return Description(
        text,
        example[1].strip() if example else "",
        tuple(node.config.meta.get("key", ())),
        (owner,) if owner else (),
        tuple(sources),
        tuple(sorted(uses)),
    )


def _sources_of(manifest: "Manifest", node: Any) -> list[str]:
    """Return the tables of contracts that a node descends from, by name."""
    return sorted(
        f"{source.source_name}.{source.name}"
        for key in _ancestors(manifest, node)
        if (source := manifest.sources.get(key)) is not None
    )


def _ancestors(manifest: "Manifest", node: Any) -> Iterator[str]:
    waiting, seen = list(node.depends_on_nodes), set[str]()
    while waiting:
        key = waiting.pop()
        if key in seen:
            continue
        seen.add(key)
        yield key
        if key in manifest.nodes:
            waiting += manifest.nodes[key].depends_on_nodes
