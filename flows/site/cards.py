"""The cards of models."""

from flows.site.model_facts import Card
from flows.warehouse.dbt import Dbt


def cards_of(dbt: Dbt) -> list[Card]:
    """Return the cards."""
    return []
