"""``cnnmnist recipes``: what each costs and reaches, and every field of one explained."""

from pathlib import Path

import pytest

from cnnmnist.cli.options import field_docstrings
from cnnmnist.config import ConvLayer, Recipe
from cnnmnist.recipes import load_recipe, recipe_description, recipe_fields, recipe_names, recipe_results
from conftest import Cli


def test_every_recipe_is_listed_with_what_it_costs_and_reaches(cli: Cli) -> None:
    result = cli("recipes", "--json")
    assert result.status == 0, result.err
    assert sorted(entry["name"] for entry in result.json) == recipe_names() == sorted(recipe_results())
    tutorial = next(entry for entry in result.json if entry["name"] == "tutorial")
    assert tutorial["relative_time"] == 1
    assert (tutorial["iterations"], tutorial["seeds"]) == (10_000, 5)
    for entry in result.json:
        assert 0 < entry["minimum"] <= entry["mean"] <= entry["maximum"] < 1, entry
        assert entry["relative_time"] > 0
        assert entry["description"].endswith((".", "?"))
    shown = cli("recipes", COLUMNS="120").out
    assert all(name in shown for name in recipe_names())
    assert "98.68%" in shown


@pytest.mark.parametrize("name", ["tutorial", "best", "exercises/smallest"])
def test_the_explained_recipe_is_the_recipe(cli: Cli, tmp_path: Path, name: str) -> None:
    result = cli("recipes", name)
    assert result.status == 0, result.err
    (tmp_path / "mine.yaml").write_text(result.out)
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe(name)
    assert recipe_description(str(tmp_path / "mine.yaml")).startswith(recipe_description(name))
    assert Recipe.model_validate(cli("recipes", name, "--json").json["recipe"]) == load_recipe(name)


def test_every_field_is_explained_as_pydantic_knows_it() -> None:
    docstrings = field_docstrings()
    assert set(recipe_fields()) <= set(docstrings)
    for name, field in ConvLayer.model_fields.items():
        assert docstrings[f"model.convolutions.{name}"] == " ".join(str(field.description).split())
    for text in docstrings.values():
        assert text[0].isupper()
        assert text.endswith(".")


def test_what_is_no_recipe_is_refused(cli: Cli) -> None:
    result = cli("recipes", "tutorail")
    assert (result.status, result.out) == (2, "")
    assert "did you mean 'tutorial'" in result.err
