"""The gates before a release: freshness of the sources, and every test of the build."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from flows.config.settings import shown_path
from flows.core.errors import Finding, GateFailed
from flows.core.names import TableName, identifier, literal
from flows.core.redaction import without_values
from flows.core.storage import DAMAGED, REBUILD
from flows.warehouse.build import Build, require_closed
from flows.warehouse.dbt import GOOD, TESTS, Dbt, tested_node
from flows.warehouse.orphans import describe_orphans
from flows.warehouse.rebuild import BUILT
from flows.warehouse.release import released_tests
from flows.warehouse.unkeyed_hashes import require_no_unkeyed_hashes
from flows.warehouse.volatile import require_no_volatile_sql

ROWS_SHOWN = 5
LEVEL = "coalesce(max(level), 0)"
"""The number that dbt compares with the limits of a test of anomalies: the macro level_of_findings."""


@dataclass(frozen=True)
class Verdict:
    """Result of the gates: the number of tests that passed in this run, and the warnings of all tests.

    `carried_over` is how many tests did not run, since they passed or warned before under the same code and inputs.
    `told` holds the warnings by the unique id of their test.
    `standing` are the warnings of tests that warned in the last release too. `findings` are all warnings with the
    table and its owner, each of the severity warn.
    """

    passed: int
    warnings: tuple[str, ...]
    carried_over: int
    told: Mapping[str, tuple[str, ...]]
    standing: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


NEVER = 1
"""The year that dbt takes for the newest row of an empty table."""


def require_freshness(dbt: Dbt, loaded: Collection[TableName]) -> tuple[str, ...]:
    """Check the loaded sources against the freshness that their contracts promise; return warnings.

    A source that is absent, empty or was never loaded is skipped, not stale. Raises GateFailed for one that is too old.
    """
    selected = [f"source:{name}" for name in sorted(loaded)]
    if not selected:
        return ()
    findings, warnings = [], []
    for result in dbt.run("source", "freshness", "--select", *selected):
        if result.node.resource_type != "source":  # a hook of the project
            continue
        name = f"{result.node.source_name}.{result.node.name}"
        if getattr(result, "max_loaded_at", None) and result.max_loaded_at.year == NEVER:
            continue  # a table that was loaded and is empty has no rows that could be old
        age = getattr(result, "age", None)
        text = f"its newest rows arrived {_in_words(age)} ago" if age is not None else "no age"
        finding = Finding(name, text, owner=result.node.config.meta.get("owner", ""))
        if result.status == "warn":
            warnings.append(str(finding))
        elif result.status != "pass":
            findings.append(finding)
    if findings:
        raise GateFailed(
            "freshness",
            tuple(findings),
            "Load newer data, or change `freshness` in the source's contract if older data is good enough.",
        )
    return tuple(warnings)


def require_sound_build(dbt: Dbt, build: Build) -> Verdict:
    """Pass a build that was tested, without unkeyed hashes and volatile calls in its SQL; raises GateFailed."""
    verdict = require_gates(dbt, build)
    nodes = [result.node for result in build.results if result.node.resource_type in BUILT]
    require_no_unkeyed_hashes(dbt.manifest, [node for node in nodes if node.resource_type == "model"])
    require_no_volatile_sql(nodes)
    return verdict


def require_gates(dbt: Dbt, build: Build) -> Verdict:
    """Pass a build of which every node succeeded, that was really tested, and whose file holds all of it.

    Raises GateFailed with model, test and the keys of failing rows; values of other columns are never shown. A build
    without a test that can fail is not a pass.
    """
    failed = [result for result in build.results if result.status not in GOOD and result.status != "skipped"]
    if failed:
        with _open_candidate(dbt) as candidate:
            findings = tuple(_describe(dbt, candidate, result) for result in failed)
        skipped = build.not_built or sum(result.status == "skipped" for result in build.results)
        if skipped:
            findings += (Finding("build", f"{skipped} nodes after them were not built"),)
        raise GateFailed("build", findings, f"Look at the set-aside candidate: {_look(dbt)}")
    require_closed(dbt.folder.candidate)
    tests = [result for result in build.results if result.node.resource_type in TESTS]
    kept = build.kept("test")
    passed = [result.node for result in tests if result.status == "pass"]
    decisive = [node for node in (*passed, *(dbt.node(state.unique_id) for state in kept)) if _is_decisive(node)]
    if not decisive and not build.passed_before:
        raise GateFailed(
            "build",
            (Finding("build", f"{len(tests)} tests ran, none of which can fail"),),
            "Select at least one test of severity error: a build that nothing can stop is not tested.",
        )
    told = {state.unique_id: tuple(state.warnings) for state in kept if state.warnings}
    told |= {result.node.unique_id: tuple(_warnings(dbt, result)) for result in tests if result.status == "warn"}
    warned_before = {name for name, status in released_tests(dbt.folder).items() if status == "warn"}
    return Verdict(
        passed=len(passed),
        warnings=tuple(warning for key in sorted(told) for warning in told[key]),
        carried_over=len(kept) + len(build.passed_before),
        told=told,
        standing=tuple(text for key in sorted(told) if dbt.node(key).name in warned_before for text in told[key]),
        findings=tuple(_as_finding(dbt, dbt.node(key), text) for key in sorted(told) for text in told[key]),
    )


def _describe(dbt: Dbt, candidate: duckdb.DuckDBPyConnection, result: Any) -> Finding:
    node = result.node
    if node.resource_type == "test" and result.status == "fail":
        model = tested_node(dbt.manifest, node)
        name = _name(model)
        test = f"test {node.name}"
        if node.description:
            test += f": {_sentence(node)}"
        owner = _owner(node, model)
        if is_of_anomalies(node):  # dbt counts their level, not their rows
            return Finding(name, "; ".join([test, *_read_anomalies(candidate, node)]), owner=owner)
        if _rules(node):
            test += f" ({', '.join(rule for rule, _ in _broken_rules(candidate, node))})"
        return Finding(name, test, result.failures, _failing_keys(candidate, node, model), owner)
    if node.resource_type == "unit_test" and result.status == "fail":
        model_name = node.tested_node_unique_id.rpartition(".")[2]
        return Finding(model_name, f"unit test {node.name}: its rule does not hold: dbt test --select {node.name}")
    message = without_values(result.message)
    if "out of sync" in message:  # the columns of an incremental model were changed
        message += " Build it again: python -m flows elt --full-refresh"
    if DAMAGED.search(message):
        message += f" {REBUILD}"
    tested = tested_node(dbt.manifest, node)
    if tested is None:
        return Finding(node.name, f"{node.resource_type} ended in an error: {message}")
    what = f"{node.resource_type.replace('_', ' ')} {node.name} ended in an error: {message}"
    return Finding(_name(tested), what, owner=_owner(node, tested))


def _failing_keys(candidate: duckdb.DuckDBPyConnection, test: Any, model: Any | None) -> tuple[str, ...]:
    """Return the first failing rows by the model's key and by the column that was tested, if it is a key itself."""
    if model is None:
        return ()
    personal = {name for name, column in model.columns.items() if column.config.meta.keys() & {"pii", "phi"}}
    key = set(model.config.meta.get("key", ()))
    arguments = getattr(getattr(test, "test_metadata", None), "kwargs", {})
    column = arguments.get("column_name")
    renamed = {"unique_field": column, "from_field": column}
    try:
        names = [row[0] for row in candidate.execute(f"describe {test.compiled_code}").fetchall()]
        shown = {
            name: renamed.get(name) or name
            for name in names
            if _is_key(renamed.get(name) or name, key) and (renamed.get(name) or name) not in personal
        }
        if not shown:
            return ()
        listed = ", ".join(f"{literal(label + '=')} || {identifier(name)}" for name, label in shown.items())
        rows = f"select distinct concat_ws(', ', {listed}) as row from ({test.compiled_code})"
        sql = f"{rows} order by row limit {ROWS_SHOWN}"
        return tuple(row for (row,) in candidate.execute(sql).fetchall())
    except duckdb.Error:
        return ()


def _is_key(name: str, key: set[str]) -> bool:
    return name in key or name.endswith("_key")


def _open_candidate(dbt: Dbt) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(dbt.folder.candidate), read_only=True)
    connection.execute(f"attach {literal(str(dbt.folder.catalog))} as lake (read_only)")
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _is_decisive(node: Any) -> bool:
    """Tell whether a test can stop a release."""
    return node.resource_type == "unit_test" or str(node.config.severity).lower() == "error"


def _warnings(dbt: Dbt, result: Any) -> list[str]:
    """Return the warnings of a test, one for each of its broken rules, or for each relation with orphaned records.

    A test whose meta says `names_rows: true` names its first failing rows by their keys.
    """
    if _is_of(result.node, "no_record_is_orphaned"):
        with _open_candidate(dbt) as candidate:
            return describe_orphans(candidate.sql(result.node.compiled_code).to_arrow_table().to_pylist())
    if _rules(result.node):
        with _open_candidate(dbt) as candidate:
            broken = _broken_rules(candidate, result.node)
        return [_counted(rule.replace("_", " "), failures) for rule, failures in broken]
    if is_of_anomalies(result.node):
        with _open_candidate(dbt) as candidate:
            found = _read_anomalies(candidate, result.node)
        model = tested_node(dbt.manifest, result.node)
        return [f"{_name(model)}: {text} (owner: {_owner(result.node, model)})" for text in found]
    warning = _counted(_sentence(result.node), result.failures)
    if not result.node.config.meta.get("names_rows"):
        return [warning]
    with _open_candidate(dbt) as candidate:
        rows = _failing_keys(candidate, result.node, tested_node(dbt.manifest, result.node))
    return [f"{warning}: {'; '.join(rows)}" if rows else warning]


def is_of_anomalies(test: Any) -> bool:
    """Tell whether the level of its findings decides on a test, which words them itself."""
    return bool(test.config.get("fail_calc") == LEVEL)


def _read_anomalies(candidate: duckdb.DuckDBPyConnection, test: Any) -> tuple[str, ...]:
    """Return the first findings of a test of anomalies, in the test's own words, the worst first."""
    sql = f"select finding from ({test.compiled_code}) order by level desc, finding limit {ROWS_SHOWN}"
    return tuple(text for (text,) in candidate.execute(sql).fetchall())


def _as_finding(dbt: Dbt, test: Any, text: str) -> Finding:
    """Return the warning of a test with its table and owner."""
    model = tested_node(dbt.manifest, test)
    return Finding(_name(model), text, owner=_owner(test, model), severity="warn")


def _name(model: Any | None) -> str:
    """Return the name of what a test is about; that of a source with its system."""
    if model is None:
        return "the project"
    return f"{model.source_name}.{model.name}" if model.resource_type == "source" else str(model.name)


def _owner(test: Any, model: Any | None) -> str:
    """Return the group that a test's tolerance names, else the one that owns the tested model or source."""
    named = test.config.meta.get("tolerance", {}).get("owner")
    group = model.config.get("group") or model.config.meta.get("owner") if model is not None else None
    return str(named or group or "")


def _counted(rule: str, failures: int) -> str:
    return f"{failures:,} against «{rule}»"


def _sentence(test: Any) -> str:
    """Return a test's description, which people read when it fails; without one, its name as words."""
    return str(test.description or test.name.replace("_", " ")).strip().rstrip(".")


def _is_of(test: Any, name: str) -> bool:
    return getattr(getattr(test, "test_metadata", None), "name", None) == name


def _rules(test: Any) -> Collection[str]:
    """Return the names of a test's rules; empty for a test that is one rule itself."""
    return getattr(getattr(test, "test_metadata", None), "kwargs", {}).get("expressions") or ()


def _broken_rules(candidate: duckdb.DuckDBPyConnection, test: Any) -> list[tuple[str, int]]:
    """Count the failing rows of a test of several rules by the rule."""
    counted = f"select broken_rule, count(*) from ({test.compiled_code}) group by broken_rule order by broken_rule"
    return candidate.execute(counted).fetchall()


def _look(dbt: Dbt) -> str:
    """Say where the candidate is, by a path from the project's folder if it lies in it."""
    return f"duckdb.connect({shown_path(dbt.folder.candidate)!r}, read_only=True)"


def _in_words(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
