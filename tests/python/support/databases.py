"""A table of people in a real database, which is a shop's source."""

from support.shop import Shop

from tests.services.server import DatabaseServer

COLUMNS = {"id": "varchar not null", "name": "varchar", "updated_at": "timestamp"}
VARIABLE = "{{ env_var('CRM_PASSWORD') | urlencode }}"
"""The template that stands for the password in a connections file."""


def connect_people(shop: Shop, server: DatabaseServer, create: str) -> Shop:
    """Create the table, and make it the shop's source."""
    shop.declare("crm.people", COLUMNS, key=["id"], load="upsert", cursor="updated_at")
    shop.connect(server.url(VARIABLE))
    server.execute(create)
    return shop
