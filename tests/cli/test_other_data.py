"""Folders of other people's pictures and files, as a user names them with ``--data-dir``."""

from pathlib import Path

import numpy as np
import pytest
from build_mnist5k import write_idx
from PIL import Image

from cnnmnist.data.folders import STEMS
from cnnmnist.visualization.fonts import can_draw
from conftest import SMALL, Cli
from support.datasets import write_pictures
from support.pictures import TEST

DRAWN = 4  # pictures of each digit


def drawings(folder: Path, names: dict[int, str], splits: tuple[str, ...] = ("train", "test")) -> Path:
    """MNIST's digits as large pictures of dark ink on light paper, off the middle."""
    for part in splits:
        for label, name in names.items():
            (folder / part / name).mkdir(parents=True)
            for number, index in enumerate(np.flatnonzero(TEST.labels == label)[:DRAWN]):
                ink = Image.fromarray(TEST.images[index]).resize((150, 150), Image.Resampling.BICUBIC)
                sheet = Image.new("L", (300, 240), 20)
                sheet.paste(ink.point(lambda level: max(level, 20)), (120, 60))
                sheet.point(lambda level: 255 - level).save(folder / part / name / f"{number}.png")
    return folder


@pytest.fixture
def all_digits(tmp_path: Path) -> Path:
    return drawings(tmp_path / "own", {label: str(label) for label in range(10)})


def test_a_folder_of_handwriting_is_read_by_evaluate_as_by_predict(cli: Cli, all_digits: Path) -> None:
    evaluated = cli("evaluate", "pretrained", "--data-dir", all_digits, "--json")
    assert evaluated.status == 0, evaluated.err
    assert evaluated.json["total"] == 10 * DRAWN
    assert evaluated.json["accuracy"] >= 0.95
    assert "passed over" not in evaluated.err
    paths = sorted((all_digits / "test").rglob("*.png"))
    read = cli("predict", "--run", "pretrained", "--json", *paths).json
    right = [each["text"] == path.parent.name for path, each in zip(paths, read, strict=True)]
    assert sum(right) == evaluated.json["correct"]


@pytest.mark.parametrize("splits", [("train", "test"), ("",)], ids=["with splits", "without splits"])
@pytest.mark.parametrize("names", [tuple(range(1, 10)), (3, 7)], ids=str)
def test_a_part_of_the_classes_is_scored_under_their_names(
    cli: Cli, tmp_path: Path, names: tuple[int, ...], splits: tuple[str, ...]
) -> None:
    folder = drawings(tmp_path / "some", {label: str(label) for label in names}, splits)
    result = cli("evaluate", "pretrained", "--data-dir", folder, "--json")
    assert result.status == 0, result.err
    assert result.json["accuracy"] >= 0.9
    matrix = np.array(result.json["confusion_matrix"])
    assert np.flatnonzero(matrix.sum(axis=1)).tolist() == list(names)


def test_damaged_pictures_can_be_left_out(cli: Cli, all_digits: Path) -> None:
    for number in range(3):
        (all_digits / "test" / "3" / f"bad{number}.png").write_bytes(b"damaged")
    (all_digits / "test" / "3" / "notes.txt").write_text("no picture")
    test, both = 10 * DRAWN + 4, 20 * DRAWN + 4
    for command, total in (
        (("evaluate", "pretrained"), test),
        (("data", "info"), both),
        (("train", *SMALL, "--iterations", 1), both),
    ):
        refused = cli(*command, "--data-dir", all_digits)
        assert refused.status == 1
        assert "3 pictures in" in refused.err
        assert "--skip-damaged" in refused.err
        result = cli(*command, "--data-dir", all_digits, "--skip-damaged", "--json")
        assert result.status == 0, result.err
        assert f"4 of {total} files were passed over: 1 .txt, 3 damaged." in result.err
    assert cli("evaluate", "--json").json["total"] == 10 * DRAWN, "the run finds its data without the option"


def test_a_run_finds_its_data_where_it_was_continued(cli: Cli, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pictures(tmp_path / "pets" / split, {"cat": 20, "dog": 20})
    assert cli("train", *SMALL, "--data-dir", "pets", "--iterations", 2).status == 0
    (tmp_path / "pets").rename(tmp_path / "moved")
    lost = cli("evaluate")
    assert lost.status == 1
    assert f"{tmp_path / 'pets'}, is not there any more: give its new place with --data-dir" in lost.err
    continued = cli("train", "--resume", "latest", "--data-dir", "moved", "--iterations", 3)
    assert continued.status == 0, continued.err
    evaluated = cli("evaluate", "--json")
    assert evaluated.status == 0, evaluated.err
    assert evaluated.json["total"] == 40


def test_one_folder_for_each_class_is_trained_on_and_the_share_is_said(cli: Cli, tmp_path: Path) -> None:
    write_pictures(tmp_path / "pets", {"cat": 21, "dog": 21})
    trained = cli("train", *SMALL, "--data-dir", "pets", "--iterations", 2)
    assert trained.status == 0, trained.err
    assert "Warning: " in trained.err
    assert "one image in 7, chosen by its content, is the test split" in trained.err
    assert cli("evaluate", "--json").json["total"] == 6
    info = cli("data", "info", "--data-dir", "pets", "--json").json
    assert info["splits"] == {"train": 33, "validation": 3, "test": 6}
    assert len(info["notes"]) == 1


def test_pictures_of_another_size_and_polarity_are_made_like_the_training_images(cli: Cli, tmp_path: Path) -> None:
    """As Fashion-MNIST: IDX files with light things on black, and photographs of dark things on white."""
    rng = np.random.default_rng(0)
    labels = (np.arange(240) % 2).astype(np.uint8)
    images = np.zeros((240, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(3, 9, 2)
        height, width = (16, 6) if label else (6, 16)
        image[top : top + height, left : left + width] = rng.integers(150, 255)
    (tmp_path / "bars").mkdir()
    for stem in STEMS:
        write_idx(tmp_path / "bars" / f"{stem}.gz", images if "images" in stem else labels)
    trained = cli("train", *SMALL, "--learning-rate", "0.01", "--data-dir", "bars", "--iterations", 60, "--json")
    assert trained.json["accuracy"] > 0.95, trained.err
    for split in ("train", "test"):
        for number, (image, label) in enumerate(zip(images[:20], labels[:20], strict=True)):
            path = tmp_path / "photographs" / split / str(label) / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(255 - image).resize((200, 200)).save(path)
    evaluated = cli("evaluate", "--data-dir", "photographs", "--json")
    assert evaluated.status == 0, evaluated.err
    assert evaluated.json["accuracy"] > 0.95
    paths = sorted((tmp_path / "photographs" / "test").rglob("*.jpg"))
    read = cli("predict", "--json", *paths).json
    right = [each["text"] == path.parent.name for path, each in zip(paths, read, strict=True)]
    assert sum(right) == evaluated.json["correct"], "a bar is no handwriting, and predict reads the whole picture"


@pytest.mark.long
def test_twenty_classes_with_chinese_names(cli: Cli, tmp_path: Path) -> None:
    names = [f"日本語{chr(0x4E00 + number)}" for number in range(20)]
    for split in ("train", "test"):
        write_pictures(tmp_path / "data" / split, dict.fromkeys(names, 12 if split == "test" else 3))
    assert cli("train", *SMALL, "--iterations", 2, "--data-dir", "data").status == 0
    wide, drawn = cli("evaluate", COLUMNS="200"), cli("evaluate", "--confusion-matrix", "--show-errors")
    assert "Confusion matrix: too wide for this terminal; --confusion-matrix draws it." in drawn.out
    counts = [line.split()[1:] for line in wide.out.splitlines() if line.strip().startswith("日本語")][:20]
    assert [sum(int(count) for count in row if count != ".") for row in counts] == [12] * 20
    assert (drawn.status, drawn.out.count("Figure: ")) == (0, 2)
    assert "Glyph" not in drawn.err
    assert drawn.err.count("no font here has all letters of the class names") == (not can_draw(names))
    assert "True: 日本語" in drawn.out
