"""Column lineage: from which columns of other tables the SQL of a model makes each of its own, by sqlglot."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

DIALECT = "duckdb"

Place = tuple[str, str, str]
"""Database, schema and name of a table."""

Read = tuple[Place, str]
"""A table, and a column of it."""


def schema_of(tables: Mapping[Place, Mapping[str, str]]) -> MappingSchema:
    """Return what sqlglot must know of tables to say whose column a name is: their columns with types."""
    known = MappingSchema(dialect=DIALECT)
    for (database, schema, name), columns in tables.items():
        known.add_table(exp.table_(name, db=schema, catalog=database), dict(columns), match_depth=False)
    return known


UNKNOWN: Read = (("", "", ""), "")
"""It is among what was read, in place of a part that cannot be followed."""


ROWS = ""
"""The name under which the columns are found that decide which rows there are."""

DECIDING = ("joins", "where", "group", "having", "qualify", "distinct", "limit")
"""The parts of a query that decide which rows there are."""


def trace_columns(sql: str, schema: MappingSchema, parameters: Collection[str] = ()) -> dict[str, set[Read]]:
    """Return the columns that each column of a query is made of, and under ROWS those of filters, joins and groups.

    UNKNOWN is among them where a part cannot be followed. `parameters` are those of a table function: no columns. A
    query that cannot be read has no columns here.
    """
    try:
        query = qualify(parse_one(sql, read=DIALECT), schema=schema, dialect=DIALECT, validate_qualify_columns=False)
        scope = build_scope(query)
        if scope is None:
            return {}
        trace = _Trace(scope, frozenset(parameters))
        return {name: trace.of(scope, name) for name in _outputs(scope)} | {ROWS: trace.of_rows()}
    except (SqlglotError, RecursionError):  # of SQL beyond its grammar
        return {}


def _names(expression: exp.Expr) -> list[str]:
    return list(expression.named_selects) if isinstance(expression, exp.Query) else []


def _outputs(scope: Scope) -> list[str]:
    return [name for name in _names(scope.expression) if name not in ("*", "")]


@dataclass
class _Trace:
    """The scopes of a query: which one owns a column, and what was found of a column before."""

    root: Scope
    parameters: Collection[str] = ()
    found: dict[tuple[int, str], set[Read]] = field(default_factory=dict)
    owners: dict[int, Scope] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the innermost scope of each column; scopes are traversed from within."""
        for scope in self.root.traverse():
            for column in scope.columns:
                self.owners.setdefault(id(column), scope)

    def of(self, scope: Scope, name: str) -> set[Read]:
        """Return what a column that a scope selects is made of."""
        key = (id(scope), name)
        if key not in self.found:
            self.found[key] = set()  # of a recursive query: what it reads of itself adds nothing
            self.found[key] = set().union(*self._parts(scope, name))
        return self.found[key]

    def of_rows(self) -> set[Read]:
        """Return what decides which rows the query has."""
        found: set[Read] = set()
        for scope in self.root.traverse():
            for part in DECIDING:
                value = scope.expression.args.get(part)
                for one in value if isinstance(value, list) else [value]:
                    if isinstance(one, exp.Expr):
                        found = found.union(*self._columns_in(one, scope))
            query = scope.expression
            if isinstance(query, exp.Select) and (group := query.args.get("group")) and group.args.get("all"):
                for one in query.selects:
                    found = found.union(*(() if one.find(exp.AggFunc) else self._columns_in(one, scope)))
        return found

    def _parts(self, scope: Scope, name: str) -> Iterator[set[Read]]:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            selects = _names(expression)
            place = selects.index(name) if name in selects else None
            for part in scope.set_operation_scopes:
                names = _names(part.expression)
                if expression.args.get("by_name"):
                    yield self.of(part, name) if name in names else set()  # it is null in this part
                else:
                    yield self.of(part, names[place]) if place is not None and place < len(names) else {UNKNOWN}
        elif isinstance(expression, exp.Query):
            selected = [one for one in expression.selects if one.alias_or_name == name]
            if not selected:
                yield {UNKNOWN}
            for one in selected:
                yield from self._columns_in(one, scope)
        else:  # rows made of a list, such as unnest(…)
            yield from self._columns_in(expression, scope)

    def _columns_in(self, expression: exp.Expr, scope: Scope) -> Iterator[set[Read]]:
        named = {window.alias for window in expression.find_all(exp.Window) if window.alias}
        for window in scope.expression.args.get("windows") or () if named else ():
            if window.name in named:  # over w, … window w as (…)
                for part in (*(window.args.get("partition_by") or ()), window.args.get("order")):
                    yield from self._columns_in(part, scope) if part else ()
        for column in expression.find_all(exp.Column):
            if _is_parameter(column):
                continue
            owner: Scope | None = self.owners.get(id(column), scope)
            while owner is not None and column.table not in owner.sources:
                owner = owner.parent
            if owner is None:
                if not column.table and column.name in _names(scope.expression):  # distinct on (a name of its own)
                    yield self.of(scope, column.name)
                elif column.table or column.name not in self.parameters:
                    yield {UNKNOWN}
                continue
            source = owner.sources[column.table]
            if isinstance(source, Scope):
                yield self.of(source, column.name)
            elif isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                yield {((source.catalog, source.db, source.name), column.name)}
            else:
                yield {UNKNOWN}


def _is_parameter(column: exp.Column) -> bool:
    """Tell whether a name is a parameter of a lambda, as in list_filter(days, day -> day > 3)."""
    above = column.find_ancestor(exp.Lambda)
    while above is not None:
        if column.name in {one.name for one in above.expressions} or column.table in {
            o.name for o in above.expressions
        }:
            return True
        above = above.find_ancestor(exp.Lambda)
    return False
