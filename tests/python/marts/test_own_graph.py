"""Edges of a team's own: a club whose members follow each other, and a bookshop whose customers like books."""

import json
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse
from support.networks import graph_of, require_equal

from flows.config.connections import read_connections
from flows.config.contract import contracts_of
from flows.core.names import TableName
from flows.ingest.load import load_table

pytest_plugins = ["support.warehouse_fixtures"]

Row = dict[str, Any]
ONLY = ("--select", "+graph_measures")


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 9)


def edge(graph: str, begin: str, end: str, connected_at: datetime | None = None, **changed: Any) -> Row:
    """An edge between nodes that are written as in graph_nodes, such as member:ada."""
    (from_label, from_id), (to_label, to_id) = begin.split(":"), end.split(":")
    return {
        "graph": graph,
        "from_node_label": from_label,
        "from_entity_id": from_id,
        "to_node_label": to_label,
        "to_entity_id": to_id,
        "connected_at": connected_at,
        "updated_at": connected_at,
        **changed,
    }


def follows(pairs: str, **changed: Any) -> list[Row]:
    return [edge("follows", f"member:{pair[0]}", f"member:{pair[1]}", at(1, 1), **changed) for pair in pairs.split()]


def test_twelve_members_who_follow_each_other(incremental: Warehouse) -> None:
    # Given a, b, c and d, who are all connected; d, e and f; a tail f, g, h; and i with three followers
    lake = Lake()
    lake.load(at(3, 1), graph__edges=follows("ab ba ac ad bc db cd de ef fd fg gh ji ki li ll"))

    # When the graph is built
    incremental.build(lake, *ONLY)

    # Then its measures are those that one counts on a drawing; l, who follows l too, has no edge more
    found = incremental.rows(
        "select entity_id, in_degree, out_degree, neighbour_count, triangle_count, round(clustering_coefficient, 3), "
        "component_id, component_size from machine_learning.graph_measures join machine_learning.graph_nodes "
        "using (node_id) where graph = 'follows' order by 1"
    )
    first, second = ("member:a", 8), ("member:i", 4)
    assert found == [
        ("a", 1, 3, 3, 3, 1.0, *first),
        ("b", 2, 2, 3, 3, 1.0, *first),
        ("c", 2, 1, 3, 3, 1.0, *first),
        ("d", 3, 2, 5, 4, 0.4, *first),
        ("e", 1, 1, 2, 1, 1.0, *first),
        ("f", 1, 2, 3, 1, 0.333, *first),
        ("g", 1, 1, 2, 0, 0.0, *first),
        ("h", 1, 0, 1, 0, None, *first),
        ("i", 3, 0, 3, 0, 0.0, *second),
        ("j", 0, 1, 1, 0, None, *second),
        ("k", 0, 1, 1, 0, None, *second),
        ("l", 0, 1, 1, 0, None, *second),
    ]
    ranks = dict(
        incremental.rows("select node_id, page_rank from machine_learning.graph_measures where graph = 'follows'")
    )
    assert ranks["member:i"] / ranks["member:j"] == pytest.approx(1 + 3 * 0.85)
    assert sum(ranks.values()) == pytest.approx(1)


def test_edges_join_the_nodes_that_are_known_and_bring_the_others(incremental: Warehouse) -> None:
    # Given a bookshop with two customers, one of whom is deleted, and a book
    lake = Lake()
    lake.load(
        at(1, 2),
        crm__customers=[{"customer_id": "ada", "city": "Hull"}, {"customer_id": "gone", "city": "Hull"}],
        shop__products=[{"product_id": "dune", "category": "novels"}],
        graph__edges=[
            edge("likes", "customer:ada", "product:dune", weight=0.5),
            edge("likes", "customer:gone", "product:dune"),
            edge("likes", "customer:zoe", "product:dune"),
            edge("likes", "customer:ada", "product:emma", weight=0.0),
            edge("wrote", "author:herbert", "product:dune"),
            edge("friends", "customer:zoe", "customer:ada", is_directed=False, weight=2.0),
            edge("friends", "customer:ada", "customer:zoe", is_directed=False, weight=3.0),
        ],
    )
    lake.load(at(1, 3), crm__customers=[{"customer_id": "gone", "_deleted": True}])

    # When the graph is built
    incremental.build(lake, *ONLY)

    # Then ada and dune are the nodes that they were, zoe and the author are new, and a like of weight 0 has ended
    nodes = incremental.rows("select node_id, node_label, entity_id, properties from machine_learning.graph_nodes")
    assert {node[0]: (*node[1:3], json.loads(node[3])) for node in nodes} == {
        "customer:ada": (
            "customer",
            "ada",
            {"country": None, "city": "Hull", "has_marketing_consent": None, "registered_at": None},
        ),
        "customer:zoe": (
            "customer",
            "zoe",
            {"country": None, "city": None, "has_marketing_consent": None, "registered_at": None},
        ),
        "product:dune": (
            "product",
            "dune",
            {"product_name": None, "category": "novels", "brand": None, "is_prescription_only": None},
        ),
        "author:herbert": ("author", "herbert", {}),
    }
    edges = "select graph, from_node_id, to_node_id, weight, is_directed from machine_learning.graph_edges order by all"
    assert incremental.rows(edges) == [
        ("friends", "customer:ada", "customer:zoe", 3.0, False),
        ("likes", "customer:ada", "product:dune", 0.5, True),
        ("likes", "customer:zoe", "product:dune", 1.0, True),
        ("wrote", "author:herbert", "product:dune", 1.0, True),
    ]


NOT_DATED = edge("follows", "member:pia", "member:nils")
FIRST = [
    edge("follows", "member:mara", "member:nils", at(1, 5), weight=1.0),
    edge("follows", "member:mara", "member:olga", at(1, 6), weight=3.0, updated_at=at(2, 20)),
    NOT_DATED,
]
LATER = [
    (at(3, 15), edge("follows", "member:mara", "member:nils", at(1, 5), weight=5.0, updated_at=at(3, 14))),
    (at(3, 15), edge("follows", "member:olga", "member:pia", at(2, 1))),
    (at(3, 20), edge("follows", "member:mara", "member:olga", at(1, 6), weight=0.0, updated_at=at(3, 19))),
    (at(3, 20), NOT_DATED | {"_deleted": True}),
    (at(3, 25), edge("follows", "member:mara", "member:olga", at(1, 6), weight=2.0, updated_at=at(3, 24))),
]


def test_a_later_load_changes_nothing_that_was_known_before(incremental: Warehouse) -> None:
    # Given a first load on 10 March: an edge of January; one whose weight changed in February; one without a time
    lake = Lake()
    lake.load(at(3, 10), graph__edges=FIRST)
    incremental.build(lake, *ONLY)
    edges = (
        "select from_node_id[8:8] || to_node_id[8:8], weight, known_at, weight_known_at "
        "from machine_learning.graph_edges order by all"
    )
    known = (
        "select from_node_id[8:8] || to_node_id[8:8], weight from machine_learning.graph_edge_states "
        "where is_connected and valid_from <= timestamp '{0}' and timestamp '{0}' < valid_to order by all"
    )
    days = [at(1, 5), at(2, 1), at(3, 1), at(3, 11)]
    before = [incremental.rows(known.format(day)) for day in days]

    # Then edges are known from their own time, and without a time from their arrival
    assert incremental.rows(edges) == [
        ("mn", 1.0, at(1, 5), at(1, 5)),
        ("mo", 3.0, at(1, 6), at(2, 20)),
        ("pn", 1.0, at(3, 10), at(3, 10)),
    ]
    assert before == [
        [("mn", 1.0)],
        [("mn", 1.0), ("mo", None)],
        [("mn", 1.0), ("mo", 3.0)],
        [("mn", 1.0), ("mo", 3.0), ("pn", 1.0)],
    ]

    # When later loads bring another weight, an edge of February, an end, a deletion, and a new start
    for day in sorted({day for day, _ in LATER}):
        lake.load(day, graph__edges=[row for arrived, row in LATER if arrived == day])
    incremental.build(lake, *ONLY)

    # Then these are known from their arrival, and days before are as they were
    assert incremental.rows(edges) == [
        ("mn", 5.0, at(1, 5), at(3, 15)),
        ("mo", 2.0, at(3, 25), at(3, 25)),
        ("op", 1.0, at(3, 15), at(3, 15)),
    ]
    assert [incremental.rows(known.format(day)) for day in days] == before
    assert incremental.rows(known.format(at(3, 22))) == [("mn", 5.0), ("op", 1.0)]


@pytest.mark.slow
def test_loads_by_chance_change_nothing_that_was_known_before(incremental: Warehouse) -> None:
    # Given a first load and six later ones: changes and new edges, some of them late, ends, deletions and returns
    chance = random.Random(11)
    lake, arrived, known_then = Lake(), [], {}
    known = (
        "select from_entity_id, to_entity_id, weight, is_directed, connected_at "
        "from machine_learning.graph_edge_states "
        "where is_connected and valid_from <= timestamp '{0}' and timestamp '{0}' < valid_to order by all"
    )
    for day in range(1, 14, 2):
        rows = []
        for _ in range(30):
            connected_at = chance.choice((None, at(1, chance.randint(1, 9)), at(2, chance.randint(1, 9))))
            changed = {
                "weight": chance.choice((None, 0.0, 2.0, 3.0)),
                "is_directed": chance.choice((True, False)),
                "updated_at": chance.choice((None, at(2, chance.randint(1, 28)), at(3, day))),
                "_deleted": day > 1 and chance.random() < 0.1,
            }
            ends = [f"member:{chance.randint(1, 6)}" for _ in range(2)]
            rows.append(edge("follows", *ends, connected_at, **changed))
        arrived += rows
        lake.load(at(3, day).replace(hour=20), graph__edges=rows)

        # When they are built after each load
        incremental.build(lake, "--select", "+graph_edge_states")

        # Then the edges that were known after the loads before, and in the months before, are the same
        for then, edges in known_then.items():
            assert incremental.rows(known.format(then)) == edges
        for then in (at(1, 5), at(2, 5), at(2, 20)) if day == 1 else (at(3, day).replace(hour=21),):
            known_then[then] = incremental.rows(known.format(then))

        # And the present edges are those of a recount: the last state by its time, and of equal times by arrival
        present = incremental.rows(known.format(at(12, 31)))
        assert [row[:3] for row in present] == recount_present(arrived)
    assert min(len(edges) for edges in known_then.values()) > 0


def recount_present(arrived: list[Row]) -> list[tuple[str, str, float]]:
    """Return the present edges of rows in their order of arrival; a deletion ends all states that arrived before it."""
    states: dict[tuple[str, str], list[Row]] = {}
    for row in arrived:
        of_edge = states.setdefault((row["from_entity_id"], row["to_entity_id"]), [])
        if row["_deleted"]:
            of_edge.clear()
        else:
            of_edge.append(row)
    last = {
        ends: max(enumerate(rows), key=lambda row: (row[1]["updated_at"] or datetime.min, row[0]))[1]["weight"]
        for ends, rows in states.items()
        if rows
    }
    return sorted((*ends, 1.0 if weight is None else weight) for ends, weight in last.items() if weight != 0)


def test_edges_of_the_project_say_when_they_were_known(incremental: Warehouse) -> None:
    # Given a first load on 10 January, of an order with two books, a payment and a customer without a referrer
    def sold(order_id: str, ordered_at: datetime) -> dict[str, list[Row]]:
        order = {"order_id": order_id, "ordered_at": ordered_at, "updated_at": ordered_at, "status": "completed"}
        books = [
            {"order_id": order_id, "line_number": n, "product_id": book} for n, book in enumerate(("dune", "emma"))
        ]
        same = {"quantity": 1, "unit_price": 9, "updated_at": ordered_at}
        return {
            "sales__orders": [order | {"channel": "store", "currency": "GBP"}],
            "sales__order_lines": [book | same for book in books],
        }

    def paid(number: str, customer: str, transacted_at: datetime) -> Row:
        row = {"transaction_id": number, "customer_id": customer, "device_id": "tablet", "transacted_at": transacted_at}
        return row | {"amount": 9, "currency": "GBP"}

    bo = {"customer_id": "bo", "registered_at": at(1, 1), "updated_at": at(1, 1)}
    lake = Lake()
    lake.load(
        at(1, 10),
        crm__customers=[bo, bo | {"customer_id": "ada"}],
        shop__products=[{"product_id": book, "updated_at": at(1, 1)} for book in ("dune", "emma")],
        payments__transactions=[paid("T1", "ada", at(1, 5))],
        **sold("O1", at(1, 5)),
    )

    # When later loads bring further orders, payments of before and a referrer
    lake.load(at(1, 20), payments__transactions=[paid("T2", "bo", at(1, 6))], **sold("O2", at(1, 7)))
    referred = bo | {"referred_by_customer_id": "ada", "updated_at": at(1, 28)}
    lake.load(
        at(1, 30), crm__customers=[referred], payments__transactions=[paid("T3", "ada", at(1, 29))],
        **sold("O3", at(1, 29)),
    )  # fmt: skip
    incremental.build(lake, *ONLY)

    # Then each edge is known from the record that made it one, and its weight from the last that counts
    edges = incremental.rows(
        "select graph, from_node_id, weight, known_at, weight_known_at from machine_learning.graph_edges order by all"
    )
    assert edges == [
        ("bought_together", "product:dune", 3.0, at(1, 20), at(1, 30)),
        ("referral", "customer:bo", 1.0, at(1, 30), at(1, 30)),
        ("shared_device", "customer:ada", 1.0, at(1, 20), at(1, 20)),
        ("used_device", "customer:ada", 2.0, at(1, 5), at(1, 30)),
        ("used_device", "customer:bo", 1.0, at(1, 20), at(1, 20)),
    ]


@pytest.mark.slow
def test_graphs_by_chance_have_the_measures_of_networkx(incremental: Warehouse) -> None:
    # Given graphs of several densities: with a direction, without one, and mixed; some edges come from both sides
    chance = random.Random(7)
    rows, expected = [], {}
    for number in range(12):
        name, share = f"chance_{number}", chance.choice((0.03, 0.1, 0.3, 0.8))
        directions = ([True], [False], [True, False])[number % 3]
        people = [f"p{number}:{person:02}" for person in range(chance.randint(3, 40))]
        weights: dict[tuple[str, str], float] = {}
        given = [
            (begin, end, chance.choice((0.25, 1.0, 7.5)), chance.choice(directions))
            for begin in people
            for end in people
            if chance.random() < share
        ]
        any_direction = any(is_directed for begin, end, _, is_directed in given if begin != end)
        for begin, end, weight, is_directed in given:
            rows.append(edge(name, begin, end, at(1, 1), weight=weight, is_directed=is_directed))
            ways = [(begin, end)] if is_directed else [(begin, end), (end, begin)]
            for way in ways if any_direction else [(min(begin, end), max(begin, end))]:
                if begin != end:
                    weights[way] = max(weight, weights.get(way, 0))
        named = {node for begin, end, *_ in given for node in (begin, end)}
        merged = [{"from_node_id": way[0], "to_node_id": way[1], "weight": weight} for way, weight in weights.items()]
        if merged:
            expected[name] = graph_of(any_direction, named, merged)
    lake = Lake()
    lake.load(at(3, 1), graph__edges=rows)

    # When they are built
    incremental.build(lake, *ONLY)
    with incremental.connect() as warehouse:
        measures = warehouse.sql("from machine_learning.graph_measures").to_arrow_table().to_pylist()

    # Then networkx gives the same measures, and there are triangles to compare
    assert {row["graph"] for row in measures} == expected.keys()
    for name, graph in expected.items():
        require_equal(graph, {row["node_id"]: row for row in measures if row["graph"] == name})
    assert sum(row["triangle_count"] for row in measures) > 1000


def test_the_contract_refuses_what_the_graph_cannot_hold(tmp_path: Path, manifest: Manifest) -> None:
    # Given a file of edges, three of which have a name of the project's, a colon in a label, and a weight below zero
    (tmp_path / "edges.csv").write_text(
        "relation;kind;from;to;strength\n"
        "follows;member;1;2;\nfollows;member;1;3;0.123456789\nfollows;member;2;3;0\n"
        "referral;member;1;2;1\nfollows;mem:ber;1;2;1\nfollows;member;3;1;-1\n"
    )
    columns = {
        "graph": "relation",
        "from_node_label": "kind",
        "from_entity_id": '"from"',
        "to_node_label": "kind",
        "to_entity_id": '"to"',
        "weight": "strength",
    }
    mapping = {"graph": {"url": f"file:{tmp_path}", "tables": {"edges": {"from": "edges.csv", "columns": columns}}}}
    (tmp_path / "connections.yml").write_text(yaml.safe_dump({"club": mapping}))
    (tmp_path / "lake").mkdir()

    # When it is loaded, then these three are quarantined
    connection = read_connections(tmp_path / "connections.yml", "club").sources["graph"]
    contract = contracts_of(manifest.sources.values())[TableName("graph", "edges")]
    counts = load_table(connection, contract, tmp_path / "lake", run_id="r").counts
    assert (counts.read, counts.accepted, counts.quarantined) == (6, 3, 3)
