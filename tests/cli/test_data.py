"""``cnnmnist data``, and training on other data than digits, as a user types it."""

from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx
from PIL import Image

from cnnmnist.data.folders import STEMS
from cnnmnist.data.registry import DATASETS
from conftest import SMALL, Cli, only_run


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A folder that claims to be Fashion-MNIST, with a class for each quarter of the image that is bright."""
    folder = tmp_path / "fashion"
    folder.mkdir()
    labels = np.arange(200, dtype=np.uint8) % 4
    images = np.zeros((200, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[14 * (label // 2) :, 14 * (label % 2) :][:14, :14] = 200
    for stem in STEMS:
        write_idx(folder / f"{stem}.gz", images if "images" in stem else labels)
    return folder


def test_the_list_names_every_data_set_and_where_it_is(cli: Cli) -> None:
    result = cli("data", "list")
    assert result.status == 0
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert lines.keys() == DATASETS.keys()
    assert lines["mnist5k"] == "the 5,000 digits embedded in the program"
    assert lines["kmnist"] == "not here: cnnmnist data fetch kmnist"
    entries = {entry["name"]: entry for entry in cli("data", "list", "--json").json}
    assert entries["fashion-mnist"]["classes"][9] == "Ankle boot"
    assert entries["kmnist"]["source"] is None


def test_info_counts_the_images_of_each_class(cli: Cli) -> None:
    result = cli("data", "info", "mnist5k")
    assert "Images: 28x28 pixels, in 10 classes" in result.out
    rows = [line.split() for line in result.out.splitlines()]
    assert ["7", "350", "50", "100"] in rows
    assert ["all", "3,500", "500", "1,000"] in rows
    document = cli("data", "info", "mnist5k", "--json").json
    assert document["class_counts"]["test"] == [100] * 10
    assert document["digest"] in result.out


def test_info_downloads_nothing(cli: Cli) -> None:
    result = cli("data", "info", "--json")
    assert result.json["name"] == "mnist5k"
    assert "cnnmnist data fetch mnist" in result.err
    refused = cli("data", "info", "fashion-mnist")
    assert refused.status == 1
    assert "cnnmnist data fetch fashion-mnist" in refused.err


def test_fetching_without_a_network_is_one_sentence(cli: Cli) -> None:
    result = cli("data", "fetch", "kmnist")
    assert result.status == 1
    assert result.err.startswith("Error: The data set kmnist could not be downloaded")
    assert cli("data", "fetch", "mnits").status == 1
    assert cli("data", "fetch", "mnist5k").out == "mnist5k: the 5,000 digits embedded in the program\n"


def test_class_names_are_in_every_table_and_figure(cli: Cli, fashion: Path) -> None:
    trained = cli("train", *SMALL, "--dataset", "fashion-mnist", "--data-dir", fashion, "--iterations", 40)
    assert trained.status == 0, trained.err
    evaluated = cli("evaluate", "--confusion-matrix")
    assert "Ankle boot" in evaluated.out
    figure = only_run(fashion.parent) / "figures" / "images.svg"
    assert cli("visualize", "--images", "0-3", "--output", figure).status == 0
    svg = figure.read_text()
    for name in ("T-shirt/top", "Trouser", "Pullover", "Dress"):
        assert f"True: {name}" in svg


def test_pictures_of_ones_own_are_trained_on_and_predicted(cli: Cli, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name, light in (("day", 220), ("night", 30)):
            (tmp_path / "sky" / split / name).mkdir(parents=True)
            for number in range(20):
                Image.new("L", (40 + number, 40), light + number).save(
                    tmp_path / "sky" / split / name / f"{number}.png"
                )
    trained = cli("train", *SMALL, "--learning-rate", "0.01", "--data-dir", "sky", "--iterations", 60, "--json")
    assert trained.json["dataset"] == "sky"
    assert trained.json["accuracy"] == 1.0
    answers = cli("predict", "--json", "sky/test/day/3.png", "sky/test/night/3.png").json
    assert [answer["digits"][0]["name"] for answer in answers] == ["day", "night"]
    assert "night" in cli("evaluate").out


def test_idx_files_of_letters_train_a_network_of_their_size(cli: Cli, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 16), np.uint8)
    labels = (np.arange(60) % 26).astype(np.uint8)
    (tmp_path / "letters").mkdir()
    for stem in STEMS:
        write_idx(tmp_path / "letters" / f"{stem}.gz", images if "images" in stem else labels)
    assert cli("train", *SMALL, "--data-dir", "letters", "--iterations", 2).status == 0
    assert len(cli("evaluate", "--json").json["confusion_matrix"]) == 26
