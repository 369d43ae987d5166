"""The comments of a release: plain text, composed from dbt's descriptions and read back without loss."""

import pytest
from dbt.contracts.graph.manifest import Manifest

from flows.warehouse.descriptions import Description, make_plain, published_models, split_class

pytest_plugins = ["support.warehouse_fixtures"]


def test_every_comment_is_read_back_as_it_was_composed(manifest: Manifest) -> None:
    # Given the project's tables and functions, then no mark of Markdown is left in a comment, and none is lost
    models = published_models(manifest)
    for model in models:
        comment = model.description.comment
        assert Description.parse(comment) == model.description, model.name
        assert "**" not in comment
        assert "```" not in comment
        assert model.description.owner, model.name
    assert len(models) > 100

    # And a mart says its question, an example, its sources and its use, a function its columns
    (mart,) = (model for model in models if model.name == "churn_states")
    assert mart.description.question.endswith("?")
    assert mart.description.example.startswith("with ")
    assert "sales.orders" in mart.description.sources
    assert mart.description.used_by == ("Retention programme",)
    (function,) = (model for model in models if model.name == "sales_between")
    assert "- product_id, varchar: " in function.description.text


def test_a_class_of_personal_data_is_in_the_comment_of_its_column(manifest: Manifest) -> None:
    (customers,) = (model for model in published_models(manifest) if model.name == "customer_360")
    assert split_class(customers.columns["birth_year"])[1] == "birth_date"
    assert split_class(customers.columns["customer_id"])[1] == ""
    assert customers.columns["birth_year"].endswith(" Personal data: birth_date.")


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("**Who** is `it`?\n\nOne row\nper person.", "Who is it?\n\nOne row per person."),
        ("- one,\n  of two\n- other", "- one, of two\n- other"),
        ("It costs\n10. It is [here](x.md).", "It costs 10. It is here."),
    ],
)
def test_markdown_becomes_plain_text(markdown: str, plain: str) -> None:
    assert make_plain(markdown) == plain


@pytest.mark.parametrize("comment", ["", "One.", "One.\n\nNote: it is not ours.", "a: b", "Key: a\nb"])
def test_a_comment_of_another_author_is_taken_as_it_is(comment: str) -> None:
    assert Description.parse(comment).text == comment
