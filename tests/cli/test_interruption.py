"""``cnnmnist train`` stopped by signals, kills, full disks and vanishing directories, and what is left then."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import SMALL, Cli, Result, command, only_run, run_cli
from support.processes import Forked, Process

resource = pytest.importorskip("resource", reason="Windows has no signals for other processes")

LONG_RUN = ["train", *SMALL, "--dataset", "mnist5k", "--iterations", 3_000, "--evaluate-at", "100"]
LONG_RUN += ["--record-at", "0,70,400,1300,2222,3000"]
PROMPTLY = 2.0  # seconds


def weights(run: Path) -> bytes:
    with ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


def status(run: Path) -> str:
    return str(json.loads((run / "run.json").read_text())["status"])


def iterations_in_metrics(run: Path) -> list[int]:
    return [json.loads(line)["iteration"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def recording(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "recording").iterdir()}


def launched(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(process: Process, reached: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if reached():
            return
        time.sleep(0.01)
    process.kill()
    raise AssertionError(process.communicate())


def started(folder: Path, *arguments: object, iterations: int) -> Forked:
    """A training in the background that has done some iterations."""
    process = Forked(folder, *arguments)

    def reached() -> bool:
        return any(
            len(file.read_bytes().splitlines()) >= iterations for file in folder.glob("runs/*/metrics.jsonl")
        )

    wait_until(process, reached)
    return process


def ended(process: Process) -> Result:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode is not None
    return Result(process.returncode, out, err)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_cli(*LONG_RUN, cwd=folder).status == 0
    return only_run(folder)


@pytest.mark.parametrize(
    ("number", "exit_status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)],
)
def test_a_signal_keeps_what_was_reached_and_says_how_to_go_on(
    tmp_path: Path, cli: Cli, undisturbed: Path, number: int, exit_status: int
) -> None:
    process = started(tmp_path, *LONG_RUN, iterations=300)
    process.send_signal(number)
    result = ended(process)
    assert result.status == exit_status
    run = only_run(tmp_path)
    assert f"Continue with: cnnmnist train --resume runs/{run.name}" in result.err
    assert status(run) == "interrupted"
    assert cli("train", "--resume", run.name).status == 0
    assert weights(run) == weights(undisturbed)
    assert iterations_in_metrics(run) == list(range(1, 3_001))


@pytest.mark.parametrize(
    ("number", "exit_status"),
    [(signal.SIGINT, 130), (signal.SIGHUP, 129), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.long)],
)
def test_a_signal_before_the_first_iteration_stops_without_a_word_of_tensorflow(
    tmp_path: Path, number: int, exit_status: int
) -> None:
    process = launched(tmp_path, *LONG_RUN)
    wait_until(process, lambda: list(tmp_path.glob("runs/*/run.json")))
    time.sleep(0.5)
    process.send_signal(number)
    result = ended(process)
    assert result.status == exit_status
    run = only_run(tmp_path)
    told = f"Interrupted after 0 iterations. Continue with: cnnmnist train --resume runs/{run.name}"
    assert result.err.splitlines() == [told]
    assert "oneDNN" not in result.err
    assert status(run) == "interrupted"


@pytest.mark.long
def test_a_second_signal_stops_at_once_and_leaves_a_run_that_goes_on(
    tmp_path: Path, cli: Cli, undisturbed: Path
) -> None:
    process = started(tmp_path, *LONG_RUN, "--checkpoint-every", 100, iterations=300)
    run = only_run(tmp_path)
    other = cli("train", "--resume", "latest")
    assert other.status == 1
    assert f"Another process is training runs/{run.name}" in other.err
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)  # two of one kind in the same moment would count as one
    result = ended(process)
    assert result.status == 143
    assert "Stopped at once." in result.err
    assert f"cnnmnist train --resume runs/{run.name}" in result.err
    assert status(run) == "interrupted"
    assert cli("train", "--resume", "latest").status == 0
    assert weights(run) == weights(undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("delay", np.linspace(0.0, 12.0, 25).round(2))
def test_ctrl_c_again_and_again_at_any_moment(tmp_path: Path, cli: Cli, undisturbed: Path, delay: float) -> None:
    process = launched(tmp_path, *LONG_RUN)
    wait_until(process, lambda: list(tmp_path.glob("runs/*/run.json")))
    time.sleep(delay)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    # Python gives the signal back to the system when it ends, and a shell calls that 130, too.
    assert ended(process).status in (0, 130, -signal.SIGINT)
    assert cli("train", "--resume", "latest").status == 0
    assert weights(only_run(tmp_path)) == weights(undisturbed)


@pytest.mark.long
@pytest.mark.full
def test_ctrl_c_is_obeyed_within_two_seconds_even_while_evaluating(tmp_path: Path, mnist_dir: Path) -> None:
    often = ",".join(map(str, range(1, 900)))
    random = np.random.default_rng(0)
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = started(folder, "train", "--data-dir", mnist_dir, "--evaluate-at", often, iterations=5)
        time.sleep(random.uniform(0.0, 1.0))
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        assert ended(process).status == 130
        assert time.monotonic() - asked < PROMPTLY
        assert (only_run(folder) / "model.keras").exists()


def killed_and_resumed(folder: Path, kills: int, seed: int) -> tuple[Path, int]:
    """The run, and how many kills struck while a file was being written.

    Every other process writes a checkpoint after each iteration, so that it spends much of its time in that.
    """
    random = np.random.default_rng(seed)
    arguments: list[object] = [*LONG_RUN, "--checkpoint-every", 50]
    struck = 0
    for number in range(kills):
        done = 0
        for file in folder.glob("runs/*/metrics.jsonl"):
            done = file.read_bytes().count(b"\n")
        process = started(folder, *arguments, iterations=min(done + 1, 2_900))
        time.sleep(random.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
        struck += any(only_run(folder).rglob(".*.tmp*"))
        arguments = ["train", "--resume", "latest", "--checkpoint-every", 50 if number % 2 else 1]
    assert run_cli(*arguments, cwd=folder).status == 0
    assert not list(only_run(folder).rglob(".*.tmp*")), "what a kill left half-written is cleared away"
    return only_run(folder), struck


def check_kills(folder: Path, undisturbed: Path, kills: int) -> int:
    run, struck = killed_and_resumed(folder, kills, seed=kills)
    assert weights(run) == weights(undisturbed)
    assert iterations_in_metrics(run) == list(range(1, 3_001))
    assert len(recording(run)) == 6
    assert recording(run) == recording(undisturbed)
    return struck


def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path) -> None:
    check_kills(tmp_path, undisturbed, kills=2)


def points(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a run, without times and images."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}, purge_orphaned_data=False).Reload()
    tags = set(events.Tags()["scalars"]) - {"iterations per second", "learning rate"}
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


KILLS, KILLS_OF_A_RUN = 100, 25


@pytest.mark.long
def test_killed_100_times_inside_training_beside_an_export(tmp_path: Path) -> None:
    """Only the kills that hit a process in training count; the export beside it is killed, too, or ends before."""
    random = np.random.default_rng(KILLS)
    whole = [*LONG_RUN, "--name", "run", "--tensorboard"]
    (tmp_path / "undisturbed").mkdir()
    assert run_cli(*whole, cwd=tmp_path / "undisturbed").status == 0
    undisturbed = only_run(tmp_path / "undisturbed")
    hits = missed = in_training = in_export = exports = runs = 0
    while hits < KILLS:
        folder, run = tmp_path / str(runs), tmp_path / str(runs) / "runs" / "run"
        folder.mkdir()
        runs += 1
        first = started(folder, *whole, iterations=1)
        first.send_signal(signal.SIGINT)  # so that there is a network to export
        assert ended(first).status == 130
        for number in range(KILLS_OF_A_RUN):
            done = (run / "metrics.jsonl").read_bytes().count(b"\n")
            kind = "saved-model" if number % 4 == 3 else "weights"
            output = run / f"exported-{kind}"
            export = Forked(folder, "export", "run", "--format", kind, "--output", output)
            every = 50 if number % 2 else 1
            arguments = ["train", "--resume", "run", "--tensorboard", "--checkpoint-every", every]
            training = Forked(folder, *arguments)
            while training.poll() is None and (run / "metrics.jsonl").read_bytes().count(b"\n") < min(
                done + 1, 2_990
            ):
                time.sleep(0.005)
            time.sleep(random.uniform(0.0, 0.3))
            training.kill()
            training.communicate()
            trained = (run / "metrics.jsonl").read_bytes().count(b"\n")
            hit = training.returncode == -signal.SIGKILL and status(run) == "running" and 0 < trained < 3_000
            hits, missed = hits + hit, missed + (not hit)
            if number % 3:
                export.kill()
            printed = export.communicate()
            exports += export.returncode == 0
            assert export.returncode in (0, -signal.SIGKILL), printed
            left = [path.name for path in run.rglob(".*.tmp*")]
            in_training += any("exported" not in name for name in left)
            in_export += any("exported" in name for name in left)
            if not hit or hits == KILLS:
                break
        assert run_cli("train", "--resume", "run", "--tensorboard", cwd=folder).status == 0
        assert weights(run) == weights(undisturbed)
        assert iterations_in_metrics(run) == list(range(1, 3_001))
        assert recording(run) == recording(undisturbed)
        assert points(run).keys() == points(undisturbed).keys()
        for tag, expected in points(undisturbed).items():  # a point that a kill lost is taken from the metrics
            np.testing.assert_allclose(points(run)[tag], expected, rtol=0, atol=1e-6)
        assert not list(run.rglob(".*.tmp*")), "what a kill left half-written is cleared away"
    print(
        f"{hits} kills in training, {missed} too late, {runs} runs; {in_training} while a file of the training "
        f"was written, {in_export} while an export was; {exports} exports ended"
    )
    assert in_training


def check_failed(result: Result, message: str) -> None:
    assert result.status == 1, result
    (error,) = (line for line in result.err.splitlines() if line and not line.startswith("Optimization Iteration"))
    assert error.startswith("Error: Cannot write runs/")
    assert message in error


@pytest.mark.long
def test_a_file_size_limit_is_one_sentence_and_the_run_goes_on_without_it(
    tmp_path: Path, cli: Cli, undisturbed: Path
) -> None:
    done = subprocess.run(
        command(*LONG_RUN, "--checkpoint-every", 500),
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    check_failed(Result(done.returncode, done.stdout, done.stderr), "File too large")
    run = only_run(tmp_path)
    assert status(run) == "failed"
    assert len(list((run / "checkpoints").iterdir())) == 2
    record = (run / "run.json").read_text()
    (run / "run.json").write_text(record.replace('"numpy": "', '"numpy": "0.'))
    resumed = cli("train", "--resume", "latest")
    assert resumed.status == 0
    assert "was made with numpy 0." in resumed.err
    assert weights(run) == weights(undisturbed)
    assert iterations_in_metrics(run) == list(range(1, 3_001))


# A disk of its own for one shell: it needs no privileges where users may have namespaces, and no cleaning up.
FULL_DISK = """
mount -t tmpfs -o size=600k disk disk && cd disk || exit 9
"$@" --checkpoint-every 300 || echo $?
ls runs/*/checkpoints runs/*/.*.tmp* 2>/dev/null
mount -o remount,size=10m disk && {python} -m cnnmnist train --resume latest >&2 && cp -r runs ..
"""


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path, undisturbed: Path
) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    (tmp_path / "disk").mkdir()
    trial = [*namespace, "mount -t tmpfs disk disk"]
    if not shutil.which("unshare") or subprocess.run(trial, cwd=tmp_path, check=False).returncode:
        pytest.skip("there are no namespaces to mount a small disk in")
    script = FULL_DISK.format(python=sys.executable)
    done = subprocess.run(
        [*namespace, script, "sh", *command(*LONG_RUN)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr
    first, _, resumed = done.stderr.partition("Recipe tutorial")
    check_failed(Result(1, done.stdout, first), "No space left on device")
    assert "\n1\n" in done.stdout
    assert ".npz" in done.stdout
    assert ".tmp" not in done.stdout
    assert "Accuracy on Test-Set" in resumed
    assert weights(only_run(tmp_path)) == weights(undisturbed)


def test_a_directory_that_vanishes_is_one_sentence(tmp_path: Path) -> None:
    process = started(tmp_path, *LONG_RUN, iterations=1)
    (tmp_path / "runs").rename(tmp_path / "gone")
    check_failed(ended(process), "No such file or directory")
