"""Folders of a data set: IDX files, CSV files, or pictures sorted by class, read as four arrays."""

from dataclasses import replace
from pathlib import Path

from cnnmnist.data.idx import read_idx
from cnnmnist.data.layouts import (
    CLASSES,
    IDX_NAME,
    STEMS,
    FolderContent,
    choose_files,
    data_sets_inside,
    entries,
    split_folders,
    subfolders,
)
from cnnmnist.data.picture_folders import NetworkInput, read_picture_folder
from cnnmnist.data.registry import DATASETS
from cnnmnist.data.tables import read_tables
from cnnmnist.errors import DataError, reason
from cnnmnist.files import read_file

MAX_MAPPING_BYTES = 65_536


def read_folder(
    folder: Path, name: str | None = None, expected: NetworkInput | None = None, *, skip_damaged: bool = False
) -> FolderContent:
    """Read a folder in any layout that people have.

    A folder holds pictures in ``train/CLASS/`` and ``test/CLASS/``, in folders with names that mean the same, or
    in ``CLASS/``; or four IDX files, with or without .gz; or ``train.csv`` and ``test.csv``. Names of files may
    have a common prefix, as EMNIST's have. The cache keeps the images made from pictures.

    Args:
        folder: absolute path.
        name: the prefix to choose if there are several.
        expected: what pictures are made into, as for :func:`cnnmnist.data.picture_folders.read_picture_folder`.
        skip_damaged: whether to pass over damaged pictures instead of refusing the folder.

    Raises:
        DataError: a file is missing or damaged, or the folder holds several data sets or none.
        PictureError: pictures are damaged.
    """
    if splits := split_folders(folder):
        if not splits["test"].is_dir():
            raise DataError(
                f"Cannot read {splits['test']}: No such file or directory; name {splits['train']} itself to have "
                "its pictures divided."
            )
        return read_picture_folder(folder, splits, expected, skip_damaged=skip_damaged)
    files = _idx_files(folder)
    content = None if files else read_tables(folder, name)
    if not content and (files or not _holds_classes(folder)):
        content = _read_idx_files(folder, name, files)
    if content:
        return _as_emnist(folder, content) if (content.name or "").startswith("emnist") else content
    return read_picture_folder(folder, {"train": folder}, expected, skip_damaged=skip_damaged)


def _holds_classes(folder: Path) -> bool:
    """Whether the folders in a folder are classes, or one of them is the folder that was meant."""
    classes = subfolders(folder)
    only = classes if len(classes) == 1 and len(subfolders(classes[0])) in CLASSES else []
    if inside := data_sets_inside(folder) or only:
        names = " or ".join(str(path) for path in inside[:3])
        raise DataError(f"{folder} holds no data set itself: did you mean {names}?")
    return bool(classes)


def _idx_files(folder: Path) -> dict[str, dict[str, Path]]:
    """The IDX files by the prefix of their names and by their usual names."""
    datasets: dict[str, dict[str, Path]] = {}
    # Kaggle's copy has folders that are called like the files, and hold them once more.
    for path in sorted(entries(folder), key=Path.is_dir):
        if match := IDX_NAME.fullmatch(path.name):
            kind = "images-idx3" if match[3] == "images" else "labels-idx1"
            stem = f"{match[2].replace('test', 't10k')}-{kind}-ubyte"
            file = path / path.name if path.is_dir() else path
            datasets.setdefault(match[1] or "", {}).setdefault(stem, file)
    return datasets


def _read_idx_files(folder: Path, name: str | None, datasets: dict[str, dict[str, Path]]) -> FolderContent:
    prefix, files = choose_files(folder, datasets or {"": {}}, name)
    for stem in STEMS:
        if stem not in files:
            missing = f"{prefix}-{stem}" if prefix else stem
            raise DataError(
                f"There is no {missing}.gz in {folder}: the folder must hold {', '.join(STEMS)}, each with or "
                "without .gz, or train.csv, or pictures in train/CLASS/ and test/CLASS/ or in CLASS/."
            )
    arrays = [read_idx(files[stem], ndim=3 if "images" in stem else 1) for stem in STEMS]
    return FolderContent(arrays, prefix or None)


def _as_emnist(folder: Path, content: FolderContent) -> FolderContent:
    """Turn images upright that EMNIST stores by columns, and name its classes.

    Source: G. Cohen et al., 2017, https://arxiv.org/abs/1702.05373.
    """
    upright = [each.transpose(0, 2, 1).copy() if each.ndim == 3 else each for each in content.arrays]
    labels = range(max(int(each.max(initial=0)) for each in content.arrays[1::2]) + 1)
    characters = _mapping(folder / f"{content.name}-mapping.txt")
    if characters is None and (known := DATASETS.get(content.name or "")):
        first = known.first_label
        characters = {first + number: each for number, each in enumerate(known.class_names)}
    names = tuple((characters or {}).get(label, str(label)) for label in labels)
    return replace(content, arrays=upright, class_names=names)


def _mapping(path: Path) -> dict[int, str] | None:
    """Read the characters of EMNIST's labels: each line has a label, then character codes."""
    try:
        lines = read_file(path, MAX_MAPPING_BYTES).decode("ascii").splitlines()
        characters = {row[0]: chr(row[1]) for row in ([*map(int, line.split())] for line in lines) if row}
        if not all(character.isprintable() for character in characters.values()):
            raise ValueError("it has codes of characters that cannot be shown")
        return characters
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise DataError(f"{path} is no mapping of labels to character codes: {reason(error)}.") from error
