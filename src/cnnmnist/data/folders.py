"""Folders of a data set: IDX files, CSV files, or pictures sorted by class, read as four arrays."""

from dataclasses import replace
from pathlib import Path

from cnnmnist.data.idx import read_idx
from cnnmnist.data.layouts import (
    CLASSES,
    IDX_NAME,
    STEMS,
    TABLE_NAME,
    FolderContent,
    choose_test,
    data_sets_inside,
    find_files,
    share_note,
    split_folders,
    subfolders,
)
from cnnmnist.data.picture_folders import NetworkInput, read_picture_folder
from cnnmnist.data.registry import DATASETS
from cnnmnist.data.tables import read_table
from cnnmnist.errors import DataError


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
    splits = split_folders(folder)
    if splits and subfolders(splits["train"]):
        if not ("test" in splits and subfolders(splits["test"])):
            raise DataError(f"{folder} has no test split with classes: name {splits['train']} to have it divided.")
        return read_picture_folder(folder, splits, expected, skip_damaged=skip_damaged)
    prefix, files = find_files(folder, IDX_NAME, name)
    if files:
        content = _read_idx_files(folder, prefix, files)
    else:
        prefix, files = find_files(folder, TABLE_NAME, name)
        if not files and (splits or _holds_classes(folder)):
            return read_picture_folder(folder, splits or {"train": folder}, expected, skip_damaged=skip_damaged)
        content = _read_tables(folder, files) if files else _read_idx_files(folder, "", {})
    if prefix.startswith("emnist"):
        # EMNIST stores images by columns: G. Cohen et al., 2017, https://arxiv.org/abs/1702.05373.
        upright = [each.transpose(0, 2, 1).copy() if each.ndim == 3 else each for each in content.arrays]
        known = DATASETS.get(prefix)
        names = (*map(str, range(known.first_label)), *known.class_names) if known else None
        content = replace(content, arrays=upright, class_names=names)
    return replace(content, name=prefix or None)


def _holds_classes(folder: Path) -> bool:
    """Whether the folders in a folder are classes, or one of them is the folder that was meant."""
    inner = folder
    while len(found := subfolders(inner)) == 1:
        (inner,) = found
    only = [inner] if inner != folder and len(found) in CLASSES else []
    if inside := data_sets_inside(folder) or only:
        names = " or ".join(str(path) for path in inside[:3])
        raise DataError(f"{folder} holds no data set itself: did you mean {names}?")
    return bool(subfolders(folder))


def _read_idx_files(folder: Path, prefix: str, files: dict[str, Path]) -> FolderContent:
    arrays = []
    for stem in STEMS:
        kind = stem.partition("-idx")[0]
        path = files.get(kind) or files.get(kind.replace("t10k", "test"))
        if path is None:
            missing = f"{prefix}-{stem}" if prefix else stem
            raise DataError(
                f"There is no {missing}.gz in {folder}: the folder must hold {', '.join(STEMS)}, each with or "
                "without .gz, or train.csv, or pictures in train/CLASS/ and test/CLASS/ or in CLASS/."
            )
        arrays.append(read_idx(path, ndim=3 if "images" in stem else 1))
    return FolderContent(arrays)


def _read_tables(folder: Path, files: dict[str, Path]) -> FolderContent:
    """Read ``train.csv`` and ``test.csv``.

    If test.csv is missing or has no labels, as in Kaggle's competition, the images of train.csv are divided by
    their content.
    """
    train = read_table(files["train"])
    if train is None:
        raise DataError(f"{files['train']} has no column named label: it must hold the class of each image.")
    test = read_table(files["test"]) if "test" in files else None
    if test:
        names = files["train"].name, files["test"].name
        return FolderContent([*train, *test], files=(names[0], names[0], names[1], names[1]))
    images, labels = train
    chosen = choose_test(images, labels)
    arrays = [images[~chosen], labels[~chosen], images[chosen], labels[chosen]]
    return FolderContent(arrays, files=(files["train"].name,) * 4, notes=(share_note(folder),))
