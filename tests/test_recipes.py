"""Recipes: what is accepted, and that everything else is refused by name."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnmnist.config import Recipe
from cnnmnist.errors import RecipeError
from cnnmnist.recipes import (
    flatten,
    get_field,
    load_recipe,
    parse_yaml,
    recipe_description,
    recipe_fields,
    recipe_names,
    validate_recipe,
)
from support.limits import SPECIAL_FILES, limited, make_sparse, make_special


def test_the_default_recipe_is_the_tutorials() -> None:
    recipe = load_recipe()
    assert [(each.filters, each.filter_size) for each in recipe.model.convolutions] == [(16, 5), (36, 5)]
    assert all(each.pooling == "max" and each.pooling_first for each in recipe.model.convolutions)
    assert recipe.model.dense == [128]
    assert (recipe.training.batch_size, recipe.training.learning_rate) == (64, 1e-4)
    assert recipe.training.evaluate_at == [0, 1, 100, 1_000, 10_000]
    assert recipe == Recipe(), "the YAML and the documented defaults agree"


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    assert load_recipe(name).training.iterations > 0


def test_a_recipe_survives_its_record() -> None:
    recipe = load_recipe(overrides={"training.learning_rate": 3e-4})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("training.lerning_rate", 1e-3, "did you mean 'training.learning_rate'"),
        ("batch_size", 32, "did you mean 'training.batch_size'"),
        ("training.batch_size", 0, "training.batch_size: input should be greater than or equal to 1, not 0"),
        ("training.batch_size", True, "training.batch_size: input should be a valid integer, not True"),
        ("training.batch_size", "64", "training.batch_size: input should be a valid integer, not '64'"),
        ("training.learning_rate", float("nan"), "training.learning_rate: input should be a finite number"),
        ("training.iterations", 10**30, "training.iterations: input should be less than or equal to"),
        ("training.schedule", "cosine", "training.schedule: input should be 'constant' or 'one-cycle'"),
        ("training.evaluate_at", [100, 1], "training.evaluate_at: iterations must increase, not [100, 1]"),
        ("training.record_at", [1, 1], "training.record_at: iterations must increase, not [1, 1]"),
        ("training.record_at", list(range(201)), "training.record_at: list should have at most 200 items"),
        ("model.dense", [-1], "model.dense.0: input should be greater than or equal to 1, not -1"),
        ("model.convolutions", [{"filters": 8, "strid": 2}], "did you mean 'stride'"),
        ("name", "../escape", "name: string should match pattern"),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(overrides={field: value})
    assert message in str(caught.value)
    assert caught.value.exit_status == 2


TAGGED = [
    '!!int ""',
    "!!bool maybe",
    "!!timestamp abc",
    "!!binary x",
    "!!float .",
    "! 5",
    "!own 5",
    "!!set {a}",
    "!!omap [a]",
]
ODD = ["0x_", "0b_", "2001-99-99", "9" * 5_000, '"\\ud800"', "[{}]", "{[a]: b}", "? {a: b}\n: c", "="]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"training: {iterations: 5, iterations: 6}", "the field 'iterations' occurs twice"),
        (b"a: &x [1, 2]\nb: [*x, *x]", "aliases are not allowed"),
        (b"training: [", "line 1"),
        (b"a: !!python/object/apply:os.getcwd []", "line 1 is not valid YAML: tags are not allowed"),
        *((f"training: {{iterations: {text}}}".encode(), "tags are not allowed") for text in TAGGED),
        *((f"training: {{iterations: {text}}}".encode(), "") for text in ODD),
        (b"<<: {training: {iterations: 5}}\n<<: {name: x}", "occurs twice"),
        (b"[" * 20_000, "nested too deeply"),
        (b"\xff\xfe\xfd", "not UTF-8"),
        (b"a: 1\n" * 20_000, "bytes"),
    ],
)
def test_hostile_yaml_is_refused_in_a_sentence(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", SPECIAL_FILES)
def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    make_special(tmp_path / "recipe.yaml", kind)
    for read in (load_recipe, recipe_description):
        with limited(seconds=5), pytest.raises(RecipeError, match="Cannot read the recipe"):
            read(str(tmp_path / "recipe.yaml"))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    make_sparse(tmp_path / "recipe.yaml", 4_000_000_000, b"# x\n")
    for read in (load_recipe, recipe_description):
        with limited(megabytes=50), pytest.raises(RecipeError, match="more than 65,536 bytes"):
            read(str(tmp_path / "recipe.yaml"))


@pytest.mark.parametrize("pattern", ["k%d: 1", "%d: 1", "- %d", "? [%d]"])
def test_the_time_for_many_keys_is_not_quadratic(pattern: str) -> None:
    def seconds(count: int) -> float:
        text = "\n".join(pattern % number for number in range(count))
        started = time.process_time()
        with contextlib.suppress(RecipeError):
            parse_yaml(text, "here")
        return time.process_time() - started

    few, many = min(seconds(700) for _ in range(3)), min(seconds(5_600) for _ in range(3))
    assert many < 8 * 4 * few, "eight times as many keys take about eight times as long, not 64 times"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'tutorial'"):
        load_recipe("tutoriall")


@pytest.mark.parametrize("text", ["1e-4", "1E-4", "1.0e-4", "0.0001", "1e-04"])
def test_numbers_are_read_as_people_write_them(text: str) -> None:
    assert parse_yaml(text, "here") == 1e-4


def test_every_field_can_be_set_to_its_default() -> None:
    plain = Recipe().model_dump()
    for field in recipe_fields():
        section, _, key = field.partition(".")
        value = plain[section][key] if key else plain[section]
        assert load_recipe(overrides={field: value}) == Recipe()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)  # other processes may slow this one down
@given(st.sampled_from([*recipe_fields(), "model", "training", "nonsense"]), json_values)
def test_any_value_is_taken_or_refused(field: str, value: object) -> None:
    try:
        recipe = load_recipe(overrides={field: value})
    except RecipeError as error:
        assert "\n" not in str(error)
    else:
        assert validate_recipe(recipe.model_dump(), "again") == recipe


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_is_parsed_or_refused(content: bytes | str) -> None:
    try:
        parse_yaml(content, "here")
    except RecipeError as error:
        assert str(error).startswith("here")


def test_dotted_fields_reach_into_nested_mappings() -> None:
    values = load_recipe().model_dump()
    flat = flatten(values)
    assert flat["training.batch_size"] == get_field(values, "training.batch_size") == 64
    assert flat["model.convolutions[1].filters"] == 36
    assert flat["training.evaluate_at"] == [0, 1, 100, 1_000, 10_000]


def test_an_error_names_the_file_unless_an_override_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for text, overrides, message in (
        ("training: 3", {}, f"{path}: training: input should be"),
        ("training: 3", {"training.seed": 1}, f"{path}: training: input should be"),
        ("training: {seed: -1}", {"training.iterations": 3}, f"{path}: training.seed: input should be"),
        ("training: {seed: 1}", {"training.seed": -1}, "training.seed: input should be"),
        ("model: {dense: [5]}", {"name": "-", "model.dense": [0]}, "name: string should match"),
    ):
        path.write_text(text)
        with pytest.raises(RecipeError) as caught:
            load_recipe(path, overrides)
        assert str(caught.value).startswith(message)
    path.write_text("training: {seed: 5}")
    recipe = load_recipe(path, {"training.iterations": 3, "name": "other"})
    assert (recipe.name, recipe.training.seed, recipe.training.iterations) == ("other", 5, 3)
