"""Run directories of strangers: each command reads or refuses them, whatever they hold, in little memory and time.

An example is a copy of a whole run in which some files were changed. Each command ends within 20 seconds and 1 GB,
without a traceback; it prints nothing raw, and changes nothing outside of the run.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import SMALL, run_cli
from support.confined import Confined
from support.limits import SPECIAL_FILES, make_sparse, make_special
from support.systems import needs_linux

pytestmark = needs_linux
HERE = Path("runs") / "strange"
# The commands that work without TensorFlow.
COMMANDS = {
    "runs": ["runs"],
    "runs as JSON": ["runs", "--json", "--sort", "accuracy"],
    "summary": ["summary", HERE, "--output", HERE / "network.png"],
    "compare": ["compare", HERE, "other", "--output", HERE / "curves.png"],
    "evaluate": ["evaluate", HERE, "--show-errors", "--confusion-matrix"],
    "evaluate as JSON": ["evaluate", HERE, "--json", "--split", "validation"],
    "filters": ["visualize", HERE, "--layer", "conv1"],
    "outputs": ["visualize", HERE, "--layer", "conv1", "--image", "3"],
    "images": ["visualize", HERE, "--images", "0-3"],
    "movie": ["visualize", HERE, "--movie"],
    "predict": ["predict", "digit.png", "--run", HERE, "--show", "--top", "3"],
    "weights": ["export", HERE, "--format", "weights", "--output", HERE / "weights.safetensors"],
}
# Those that need it: training, gradients, conversion. TensorFlow alone takes most of 1 GB.
WITH_TENSORFLOW = {
    "resume": ["train", "--resume", HERE, "--iterations", "45", "--tensorboard"],
    "saliency": ["visualize", HERE, "--saliency", "--image", "1"],
    "maximize": ["visualize", HERE, "--maximize", "conv1"],
    "SavedModel": ["export", HERE, "--format", "saved-model", "--output", HERE / "saved"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole run, another one, and things that are no command's business."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("strange", "other"):
        options = ["--iterations", 40, "--evaluate-at", "0,10", "--record-at", "0,20,40", "--checkpoint-every", 20]
        trained = run_cli(
            "train", *SMALL, *options, "--dataset", "mnist5k", "--name", name, "--tensorboard", cwd=folder
        )
        assert trained.status == 0, trained.err
    (folder / "precious").write_text("precious")
    image = ["visualize", "pretrained", "--image", 0, "--dataset", "mnist5k", "--output", "digit.png"]
    assert run_cli(*image, cwd=folder).status == 0
    return folder


@pytest.fixture(scope="module")
def confined(whole: Path) -> Iterator[Confined]:
    with Confined() as server:
        yield server


@dataclass
class Change:
    """A change of one file of a run."""

    pattern: str
    kind: str
    seed: int
    values: list[Any] = field(default_factory=list)

    def apply(self, run: Path) -> None:
        paths = sorted(run.glob(self.pattern)) or [run / self.pattern.replace("*", "x")]
        path = paths[self.seed % len(paths)]
        content = path.read_bytes() if path.is_file() else b"{}"
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
        at = self.seed % max(len(content), 1)
        match self.kind:
            case "bits":
                changed = bytearray(content)
                for number in range(1 + self.seed % 8):
                    place = (self.seed * 7919 + number * 104729) % max(len(changed), 1)
                    changed[place : place + 1] = bytes([self.seed * (number + 3) % 256])
                path.write_bytes(changed)
            case "cut":
                path.write_bytes(content[:at])
            case "doubled":
                path.write_bytes(content + content)
            case "inserted":
                path.write_bytes(content[:at] + str(self.values).encode("utf-8", "replace") + content[at:])
            case "sparse":
                make_sparse(path, 4_000_000_000, content)
            case "outwards":
                path.symlink_to("../../precious")
            case "value":
                path.write_bytes(with_value(content, self.seed, self.values))
            case kind if kind in SPECIAL_FILES:
                make_special(path, kind)


def with_value(content: bytes, seed: int, values: list[Any]) -> bytes:
    """JSON, or lines of JSON, with other values in one place."""
    lines = content.splitlines()
    one = len(lines) > 1 and lines[0].endswith(b"}")
    number = seed % len(lines) if one else 0
    try:
        document = json.loads(lines[number] if one else content)
    except ValueError:
        return content
    place, steps = document, seed
    while isinstance(place, dict | list) and place:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key, steps = keys[steps % len(keys)], steps // len(keys)
        if not isinstance(place[key], dict | list) or not place[key] or steps % 5 == 0:
            place[key] = values[0] if values else None
            break
        place = place[key]
    text = json.dumps(document).encode()
    return b"\n".join([*lines[:number], text, *lines[number + 1 :]]) + b"\n" if one else text


HARMFUL = ["\x1b[31m", "\u202e", "\u2028", "\x9b", "m" * 255, "m" * 1_001, "../../precious", "/", "/dev/zero"]
VALUES = st.one_of(
    st.sampled_from(
        [*HARMFUL, -1, 0, 1, 64, 1_024, 16_384, 65_536, 10**8, 10**400, 1e300, -0.0, True, None, [], {}]
    ),
    st.sampled_from(
        [[16_384] * 8, [{"filters": 1_024, "pooling": "none"}] * 16, ["m" * 255] * 100, ["\u202ea"] * 10]
    ),
    st.text(max_size=8),
    st.floats(),
)
FILES = ["run.json", "run.json", "metrics.jsonl", "model.keras", "checkpoints/*.npz", "recording/*.npz"]
FILES += ["events.out.tfevents.*", "figures", "checkpoints", "recording"]
KINDS = ["bits", "cut", "doubled", "inserted", "sparse", "outwards", "value", "value", "value", *SPECIAL_FILES]
CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(FILES),
        st.sampled_from(KINDS),
        st.integers(0, 10**9),
        st.lists(VALUES, min_size=1, max_size=1),
    ),
    min_size=1,
    max_size=3,
)


def outside(folder: Path) -> dict[str, str]:
    """Every file outside of the run, with its content."""
    paths = [path for path in folder.rglob("*") if folder / HERE not in (path, *path.parents)]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(paths)
    }


def spoiled(whole: Path, folder: Path, changes: list[Change]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    for change in changes:
        change.apply(folder / HERE)
    return folder


def check(status: int, out: str, err: str) -> None:
    assert status in (0, 1, 2), f"it ended with {status}: {err[-500:]}"
    assert "Traceback" not in err
    raw = {each for each in out + err if not each.isprintable()} - {"\n"}
    assert not raw, f"{raw} reached the terminal"


def try_commands(confined: Confined, whole: Path, folder: Path, changes: list[Change], names: list[str]) -> None:
    spoiled(whole, folder, changes)
    before = outside(folder)
    files = folder.with_name("out"), folder.with_name("err")
    for name in names:
        status, _ = confined.run([*map(str, COMMANDS[name])], folder, files)
        texts = [path.read_bytes().decode("utf-8", "surrogateescape") for path in files]
        try:
            check(status, *texts)
        except AssertionError as error:
            error.add_note(f"{name} after {changes}")
            raise
    assert outside(folder) == before


QUIET = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def test_each_command_reads_a_whole_run(whole: Path, confined: Confined, tmp_path: Path) -> None:
    folder = spoiled(whole, tmp_path / "folder", [])
    for name, arguments in COMMANDS.items():
        files = tmp_path / "out", tmp_path / "err"
        status, size = confined.run([*map(str, arguments)], folder, files)
        assert status == 0, (name, files[1].read_text())
        assert size < 600_000_000


@given(CHANGES, st.lists(st.sampled_from([*COMMANDS]), min_size=1, max_size=2))
@settings(QUIET, max_examples=25)
def test_a_command_reads_or_refuses_any_run(
    whole: Path,
    confined: Confined,
    tmp_path_factory: pytest.TempPathFactory,
    changes: list[Change],
    names: list[str],
) -> None:
    try_commands(confined, whole, tmp_path_factory.getbasetemp() / "confined" / "folder", changes, names)


@pytest.mark.long
@given(CHANGES)
@settings(QUIET, max_examples=300)
def test_every_command_reads_or_refuses_any_run(
    whole: Path, confined: Confined, tmp_path_factory: pytest.TempPathFactory, changes: list[Change]
) -> None:
    try_commands(confined, whole, tmp_path_factory.getbasetemp() / "confined" / "folder", changes, [*COMMANDS])


@pytest.mark.long
@given(CHANGES, st.sampled_from([*WITH_TENSORFLOW]))
@settings(QUIET, max_examples=100)
def test_a_command_with_tensorflow_reads_or_refuses_any_run(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, changes: list[Change], name: str
) -> None:
    """TensorFlow's own memory is not limited here."""
    folder = spoiled(whole, tmp_path_factory.getbasetemp() / "tensorflow" / "folder", changes)
    before = outside(folder)
    result = run_cli(*WITH_TENSORFLOW[name], cwd=folder)
    check(result.status, result.out, result.err)
    assert outside(folder) == before
