"""OpenLineage: loads, models and trainings as events with schemas, for other catalogs, should a place be named.

Datasets are tables, not rows: names, types, descriptions, owners and counts. No event holds a URL, a path or a value.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from flows.config.settings import DataFolder, lineage_place
from flows.core.clock import utc_now
from flows.core.errors import GateFailed, HeldBack, WarehouseError
from flows.core.redaction import scrub
from flows.ingest.load import LoadResult
from flows.warehouse.project_map import Node, ProjectMap

if TYPE_CHECKING:  # the client takes a tenth of a second to import, and so does the site's parser of SQL
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

    from flows.site.lineage import Traced

logger = logging.getLogger(__name__)

PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/main/client/python"
BUILT = ("model", "seed", "snapshot")


@dataclass(frozen=True)
class Lineage:
    """The events of one run of a set; `run_id` is that of the flow run, to which its jobs belong.

    `columns` says from which columns those of each table come, by dbt's unique id.
    """

    folder: DataFolder
    run_id: UUID
    started_at: datetime
    project: ProjectMap
    columns: Mapping[str, "Traced"] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The namespace of jobs and tables of the set."""
        return f"ml-warehouse.{self.folder.path.name}"

    def of_run(self, job: str, error: WarehouseError | None) -> Iterator["RunEvent"]:
        """Yield the beginning and the end of the run itself."""
        from openlineage.client.event_v2 import RunState

        yield self._event(RunState.START, job, self.run_id, at=self.started_at)
        yield self._event(RunState.COMPLETE if error is None else RunState.FAIL, job, self.run_id, error=error)

    def of_loads(self, loads: Iterable[LoadResult], job: str) -> Iterator["RunEvent"]:
        """Yield an event for each load: from the table of the source to that of the lake."""
        from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState
        from openlineage.client.generated.output_statistics_output_dataset import OutputStatisticsOutputDatasetFacet

        for load in loads:
            table = str(load.table)
            node = self.project.sources.get(self.project.key(table) or "", {})
            counted: dict[str, Any] = {
                "outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=load.total.accepted)
            }
            lake = OutputDataset(
                self.namespace, f"lake.{table}", outputFacets=counted, facets=self._facets(table, node)
            )
            source = InputDataset(f"{self.namespace}.sources", table)
            state = RunState.COMPLETE if load.is_complete else RunState.FAIL
            yield self._event(state, f"load.{table}", self._id(table), (source,), (lake,), parent=job)

    def of_build(self, results: Iterable[Any], job: str) -> Iterator["RunEvent"]:
        """Yield an event for each model, seed and snapshot that dbt built: from what it reads to its table."""
        from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState

        for result in results:
            key = result.node.unique_id
            node = self.project.nodes.get(key)
            if node is None or result.node.resource_type not in BUILT or result.status == "skipped":
                continue
            inputs = tuple(
                InputDataset(self.namespace, self._name(one))
                for one in (node.get("depends_on") or {}).get("nodes", ())
                if one in self.project.nodes or one in self.project.sources
            )
            facets = self._facets(node["name"], node) | self._column_facet(self.columns.get(key, {}))
            made = OutputDataset(self.namespace, self._name(key), facets=facets)
            state = RunState.COMPLETE if result.status == "success" else RunState.FAIL
            yield self._event(state, f"dbt.{node['name']}", self._id(key), inputs, (made,), parent=job)

    def of_training(self, name: str, table: str, is_registered: bool, job: str) -> "RunEvent":
        """Return the event of a training: from its training table to the model, if it was registered."""
        from openlineage.client.event_v2 import InputDataset, OutputDataset, RunState

        source = InputDataset(self.namespace, self._name(self.project.key(table) or table))
        made = (OutputDataset(self.namespace, f"models.{name}"),) if is_registered else ()
        return self._event(RunState.COMPLETE, f"train.{name}", self._id(name), (source,), made, parent=job)

    def _event(
        self,
        state: Any,
        job: str,
        run_id: UUID,
        inputs: Sequence["InputDataset"] = (),
        outputs: Sequence["OutputDataset"] = (),
        *,
        parent: str | None = None,
        error: WarehouseError | None = None,
        at: datetime | None = None,
    ) -> "RunEvent":
        from openlineage.client.event_v2 import Job, Run, RunEvent
        from openlineage.client.generated import error_message_run, job_type_job, parent_run, processing_engine_run

        engine = processing_engine_run.ProcessingEngineRunFacet(version("duckdb"), "DuckDB")
        facets: dict[str, Any] = {"processing_engine": engine}
        if parent is not None:
            of = parent_run.Run(str(self.run_id)), parent_run.Job(self.namespace, parent)
            facets["parent"] = parent_run.ParentRunFacet(*of)
        if error is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(_describe(error), "Python")
        kind = job_type_job.JobTypeJobFacet("BATCH", "DBT" if job.startswith("dbt.") else "PREFECT", "JOB")
        return RunEvent(
            eventTime=f"{(at or utc_now()).isoformat()}Z",
            eventType=state,
            run=Run(str(run_id), facets),
            job=Job(self.namespace, job, {"jobType": kind}),
            inputs=list(inputs),
            outputs=list(outputs),
            producer=PRODUCER,
        )

    def _facets(self, name: str, node: Node) -> dict[str, Any]:
        """Return schema, description and owner of a table."""
        from openlineage.client.generated import documentation_dataset, ownership_dataset, schema_dataset

        fields = [
            schema_dataset.SchemaDatasetFacetFields(column["name"], column.get("data_type"), column.get("description"))
            for column in (node.get("columns") or {}).values()
        ]
        facets: dict[str, Any] = {"schema": schema_dataset.SchemaDatasetFacet(fields)} if fields else {}
        if text := " ".join(str(node.get("description") or "").split()):
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(text)
        if owner := self.project.owner(name):
            facets["ownership"] = ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(owner, "OWNER")])
        return facets

    def _column_facet(self, traced: "Traced") -> dict[str, Any]:
        """Return from which columns those of a table come, and which columns decide what rows it has."""
        from openlineage.client.generated.column_lineage_dataset import ColumnLineageDatasetFacet, Fields

        from flows.site.column_lineage import ROWS

        reads = {name: [self._input_field(*one) for one in found if one[0]] for name, found in traced.items()}
        fields = {name: Fields(found) for name, found in reads.items() if name != ROWS and found}
        if not fields:
            return {}
        return {"columnLineage": ColumnLineageDatasetFacet(fields, dataset=reads.get(ROWS, []))}

    def _input_field(self, table: str, column: str) -> Any:
        from openlineage.client.generated.column_lineage_dataset import InputField

        return InputField(self.namespace, self._name(table), column)

    def _name(self, key: str) -> str:
        if key in self.project.sources:
            source = self.project.sources[key]
            return f"lake.{source['source_name']}.{source['name']}"
        node = self.project.nodes.get(key)
        return key if node is None else f"{node['schema']}.{node.get('alias') or node['name']}"

    def _id(self, name: str) -> UUID:
        return uuid5(self.run_id, name)


def _describe(error: WarehouseError) -> str:
    """Return what has failed, without the keys of rows and without the next command, which may name a path."""
    if isinstance(error, HeldBack):
        return "; ".join(map(_describe, error.causes))
    if isinstance(error, GateFailed):
        return scrub("; ".join(str(replace(finding, rows=())) for finding in error.findings))
    return scrub(str(error).partition("\n")[0])


def send_lineage(events: Iterable["RunEvent"]) -> None:
    """Send events to the file or URL that the environment names; the run does not fail for it."""
    place = lineage_place()
    if place is None:
        return
    try:
        from openlineage.client.serde import Serde

        if place.startswith(("http://", "https://")):
            from openlineage.client.transport.http import HttpConfig, HttpTransport

            server = HttpTransport(HttpConfig.from_dict({"url": place, "retry": {"total": 1}}))
            for event in events:
                server.emit(event)
            return
        with open(place, "a", encoding="utf-8") as file:  # noqa: PTH123 - one line an event
            file.writelines(f"{Serde.to_json(event)}\n" for event in events)
    except Exception as error:  # noqa: BLE001 - the run is worth more than its lineage
        logger.warning("OpenLineage events were not taken: %s", type(error).__name__)
