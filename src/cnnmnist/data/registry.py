"""The data sets that have a name: what is in them, and where they are published."""

from dataclasses import dataclass

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class KnownDataset:
    """A data set that can be asked for by name."""

    class_names: tuple[str, ...] = DIGITS
    validation: int = 5_000
    """How many of the first training images are the validation split."""
    fingerprint: str | None = None
    """As :attr:`Dataset.digest`, without the training images; it tells the data set in any folder."""
    mirrors: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()
    """Of the gzip'd files in the order of ``STEMS``, as pooch writes them."""


DATASETS = {
    "mnist": KnownDataset(
        fingerprint="a37d22acedbd0190ce7babf9688ecb3ff52c7fb0bbaad635d3607cee95929cc6",
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        hashes=(
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "mnist5k": KnownDataset(
        validation=500, fingerprint="79bd698ed1a2491e3319b25aa186fdb9d36a49bfb7df988ec5c9dcc8e90b3e15"
    ),
    "fashion-mnist": KnownDataset(
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        fingerprint="413b6494c6141bd8756ed98b6f8b0b2999d84cdbe77fdf801977fe1a53891ea5",
        mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        hashes=(
            "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "md5:25c81989df183df01b3e8a0aad5dffbe",
            "md5:bef4ecab320f06d8554ea6380940ec79",
            "md5:bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "kmnist": KnownDataset(
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        hashes=(
            "md5:bdb82020997e1d708af4cf47b453dcf7",
            "md5:e144d726b3acfaa3e44228e80efcd344",
            "md5:5c965bf0a639b31b8f53240b1b52f4d7",
            "md5:7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
}
KERAS_CACHE_DIGEST = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
