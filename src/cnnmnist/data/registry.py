"""Known data sets: their class names, digests and mirrors."""

from dataclasses import dataclass, field
from string import ascii_lowercase, ascii_uppercase
from typing import Literal

DIGITS = tuple("0123456789")

Preparation = Literal["digits", "whole"]
"""How a picture becomes an image: its digit as MNIST's authors prepared theirs, or the whole picture."""


@dataclass(frozen=True)
class KnownDataset:
    """A data set that the program knows by its name."""

    class_names: tuple[str, ...] = DIGITS
    validation: int | None = 5_000
    """Number of the first training images that are the validation split; None if it is a twelfth of them."""
    preparation: Preparation = "digits"
    """How pictures become images like those of the data set."""
    first_label: int = 0
    """The label of the first class."""
    fingerprint: str | None = None
    """SHA-256 of the shapes and bytes of all arrays but the training images, which identifies a folder's data."""
    mirrors: tuple[str, ...] = ()
    """Base URLs, in the order in which a download tries them."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of a mirror, in hexadecimal, by name of the file."""
    members: tuple[str, ...] = ()
    """The files of the data set in the only file of a mirror, which is a ZIP archive with more than them."""


def _emnist(split: str, class_names: tuple[str, ...], first_label: int = 0) -> KnownDataset:
    """One of EMNIST's data sets, which all come in one archive: G. Cohen et al., 2017, arXiv 1702.05373."""
    parts = [f"{part}-{kind}-ubyte.gz" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")]
    return KnownDataset(
        class_names=class_names,
        validation=None,
        first_label=first_label,
        mirrors=(
            "https://biometrics.nist.gov/cs_links/EMNIST/",  # the authors'
            "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",  # TensorFlow Datasets'
        ),
        files={"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
        members=tuple(f"gzip/emnist-{split}-{part}" for part in parts),
    )


MERGED = (*DIGITS, *ascii_uppercase, *"abdefghnqrt")  # where EMNIST counts c and C, for example, as one class

# TensorFlow Datasets publishes the SHA-256 of the files, in tensorflow_datasets/url_checksums of
# https://github.com/tensorflow/datasets.
DATASETS = {
    "mnist": KnownDataset(
        fingerprint="a37d22acedbd0190ce7babf9688ecb3ff52c7fb0bbaad635d3607cee95929cc6",
        mirrors=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",  # TensorFlow Datasets'
            "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
        ),
        files={
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
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
        preparation="whole",
        fingerprint="413b6494c6141bd8756ed98b6f8b0b2999d84cdbe77fdf801977fe1a53891ea5",
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",  # Keras'
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",  # the authors'
        ),
        # https://github.com/zalandoresearch/fashion-mnist publishes the MD5 of the same files.
        files={
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "kmnist": KnownDataset(
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        preparation="whole",
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",  # the authors'
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        files={
            "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
    ),
    "qmnist": KnownDataset(
        mirrors=("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),  # the authors'
        files={
            "qmnist-train-images-idx3-ubyte.gz": "9e26a7bf1683614e065d7b76460ccd52807165b3f22561fb782bd9f38c52b51d",  # noqa: E501
            "qmnist-train-labels-idx2-int.gz": "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
            "qmnist-test-images-idx3-ubyte.gz": "43fc22bf7498b8fc98de98369d72f752d0deabc280a43a7bcc364ab19e57b375",
            "qmnist-test-labels-idx2-int.gz": "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
        },
    ),
    "emnist-balanced": _emnist("balanced", MERGED),
    "emnist-byclass": _emnist("byclass", (*DIGITS, *ascii_uppercase, *ascii_lowercase)),
    "emnist-bymerge": _emnist("bymerge", MERGED),
    "emnist-digits": _emnist("digits", DIGITS),
    "emnist-letters": _emnist("letters", tuple(ascii_uppercase), first_label=1),
    "emnist-mnist": _emnist("mnist", DIGITS),
}
# SHA-256 of mnist.npz, with which keras.datasets.mnist checks its download.
KERAS_CACHE_DIGEST = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
