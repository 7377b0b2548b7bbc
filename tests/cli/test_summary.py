"""``cnnmnist summary`` as a user types it."""

from pathlib import Path

import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from conftest import Cli


def test_a_recipe_in_words(cli: Cli) -> None:
    result = cli("summary", "--time", COLUMNS="66")
    assert result.status == 0, result.err
    assert "recipe tutorial, for images of 28x28 pixels, 10 classes" in result.out
    lines = [line.split() for line in result.out.splitlines() if line.strip()]
    rows = {name: cells for name, *cells in reversed(lines)}  # a folded name goes on in the next line
    assert rows["conv2"][:3] == ["14x14x36", "14,436", "2,822,400"]
    assert rows["flatten"][:1] == ["1,764"]
    assert rows["total"] == ["242,062", "3,363,072", "100.0%"]
    assert "for 128 images at once, in float32, on this machine" in result.out


def test_an_untrained_run_goes_before_a_recipe_of_its_name_and_is_drawn(cli: Cli, tmp_path: Path) -> None:
    digits = load_dataset("mnist5k")
    recipe = load_recipe(overrides={"model.convolutions": [{"filters": 4}], "model.dense": []})
    create_run(tmp_path / "runs", "fast", recipe, digits)
    result = cli("summary", "fast", "--output", "new/network.svg", "--json")
    assert result.status == 0, result.err
    layers = result.json.pop("layers")
    assert {key: value for key, value in result.json.items() if key != "layers"} == {
        "run": "runs/fast",
        "image_shape": [28, 28],
        "classes": 10,
        "parameters": 4 * 26 + (14 * 14 * 4 + 1) * 10,
        "multiplications": 28 * 28 * 4 * 25 + 14 * 14 * 4 * 10,
        "figures": ["new/network.svg"],
    }
    assert [layer["name"] for layer in layers] == [
        "conv1",
        "conv1_pooling",
        "conv1_activation",
        "flatten",
        "logits",
    ]
    assert layers[1].keys() == {"name", "kind", "output_shape", "parameters", "multiplications"}
    assert (layers[1]["kind"], layers[1]["output_shape"]) == ("MaxPooling2D", [14, 14, 4])
    assert (tmp_path / "new" / "network.svg").read_text().startswith("<?xml")
    assert "The network of the run fast" in result.err


def test_shares_of_the_time_are_measured_only_on_demand(cli: Cli) -> None:
    assert "%" not in cli("summary").out
    layers = cli("summary", "pretrained", "--time", "--json").json["layers"]
    assert sum(layer["share"] for layer in layers) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["nothing"],
            1,
            "nor as a directory with a run.json, and no recipe: the program has best, ",
        ),
        (["x" * 5000], 1, "There is no run"),
        (["pretrained", "--dataset", "mnist"], 2, "--dataset and --data-dir go with a recipe"),
        (["fast", "--dataset", "letters"], 1, "There is no data set 'letters'"),
        (["recipe.yaml"], 2, "unknown field 'modle'"),
        (["best"], 1, "run.json is damaged"),  # and not passed over for the recipe of its name
    ],
)
def test_what_cannot_be_done(cli: Cli, tmp_path: Path, arguments: list[str], status: int, message: str) -> None:
    (tmp_path / "recipe.yaml").write_text("modle: {}")
    (tmp_path / "runs" / "best").mkdir(parents=True)
    (tmp_path / "runs" / "best" / "run.json").write_text("{}")
    result = cli("summary", *arguments)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
