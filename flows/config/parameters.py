"""The parameters of flows, with the descriptions and choices that Prefect's UI shows beside their fields."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

SetName = Annotated[
    str | None,
    Field(
        title="Set",
        description="Set of connections, by its name in the file. Empty: ML_WAREHOUSE_SET, else the first set.",
        examples=["demo"],
    ),
]
ConnectionsFile = Annotated[
    str, Field(title="Connections file", description="File of the sets, from the project's folder.", min_length=1)
]
FullRefresh = Annotated[
    bool, Field(title="Full refresh", description="Build everything from the lake, not on the last release.")
]
Selection = Annotated[
    str | None,
    Field(
        title="Selection",
        description="dbt nodes to build and test, such as dim_customer+. Nothing is published then. Empty: all.",
    ),
]
Models = Annotated[
    Sequence[str],
    Field(title="Models", description="Exposures of type ml, by name. Empty: all that the project declares."),
]
Again = Annotated[bool, Field(title="Again", description="Train even if nothing is new since the last run.")]
Keep = Annotated[
    int,
    Field(title="Releases to keep", description="Newest releases that stay, beside those of clones.", ge=1),
]
FirstDay = Annotated[
    str,
    Field(title="First day", description="First day to read again, in the set's time zone.", examples=["2026-03-01"]),
]
EndDay = Annotated[str, Field(title="End", description="The day after the last one.", examples=["2026-03-02"])]
Tables = Annotated[
    str | None,
    Field(title="Tables", description="Source tables, such as crm.customers. Empty: all that can be asked."),
]
IsPublished = Annotated[
    bool,
    Field(title="Publish", description="Write to the lake and publish. Without it, a clone shows the result."),
]
