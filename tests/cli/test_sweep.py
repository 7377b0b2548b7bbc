"""``cnnmnist sweep`` as a user types it: settings and seeds, interrupted, killed, and by several processes."""

import csv
import json
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import create_run
from conftest import SMALL, Cli, Result, run_cli
from support import processes
from support.datasets import small_arrays, write_folder

pytestmark = pytest.mark.xdist_group("sweep")
COMMON = [*SMALL, "--dataset", "mnist5k", "--evaluate-at", "0,30"]
VARIED = ["--vary", "training.learning_rate=1e-3,0.01", "--seeds", "0,3"]
NAMES = [f"{rate}-seed-{seed}" for rate in ("0.001", "0.01") for seed in (0, 3)]


def bits(run: Path) -> dict[str, object]:
    """Everything that a training decides, and no time."""
    record = json.loads((run / "run.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    with ZipFile(run / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    newest = max((run / "checkpoints").iterdir())
    with np.load(newest) as arrays:
        state = {name: arrays[name].tobytes() for name in arrays if name != "seconds"}
    metrics = [(line["iteration"], line["loss"], line["accuracy"]) for line in lines]
    kept = [record[key] for key in ("status", "recipe", "iteration", "ladder", "precision")]
    return {"weights": weights, "state": state, "metrics": metrics, "record": kept}


@contextmanager
def started(folder: Path, *commands: list[object]) -> Iterator[list[BaseProcess]]:
    """Each command in a process of its own; none is left at the end."""
    running = []
    for number, arguments in enumerate(commands):
        files = folder / f"{number}.out", folder / f"{number}.err"
        for path in files:
            path.write_text("")  # without the lines of an earlier command
        running.append(processes.start([*map(str, arguments)], folder, dict(os.environ), files))
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.join()


def wait_until(process: BaseProcess, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not reached():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lines(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_in(folder: Path, run: str, iterations: int, arguments: list[object]) -> None:
    """SIGKILL the command when a run has so many iterations."""
    with started(folder, arguments) as (process,):
        wait_until(process, lambda: lines(folder / run) >= iterations)
        process.kill()
        process.join()


def finish_together(folder: Path, *commands: list[object]) -> list[Result]:
    """Each command in a process of its own, all at the same time."""
    with started(folder, *commands) as both:
        for process in both:
            process.join(timeout=900)
        return [
            Result(
                process.exitcode if process.exitcode is not None else 99,
                (folder / f"{number}.out").read_text(),
                (folder / f"{number}.err").read_text(),
            )
            for number, process in enumerate(both)
        ]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A sweep of two rates and two seeds that nobody disturbed, and what it printed."""
    folder = tmp_path_factory.mktemp("swept")
    options = [*COMMON, *VARIED, "--iterations", 60, "--csv", "runs.csv", "--json"]
    return folder, run_cli("sweep", "rates", *options, cwd=folder)


def test_table_json_and_csv(swept: tuple[Path, Result]) -> None:
    folder, result = swept
    assert result.status == 0, result.err
    document = result.json
    assert (document["sweep"], document["runs_dir"]) == ("rates", "runs")
    rows = document["rows"]
    assert {row["settings"]["training.learning_rate"] for row in rows} == {0.001, 0.01}
    for row in rows:
        ladders = [json.loads((folder / run / "run.json").read_text())["ladder"] for run in row["runs"]]
        accuracies = [ladder[-1]["accuracy"] for ladder in ladders]
        assert row["seeds"] == [0, 3]
        assert row["accuracies"] == accuracies
        assert row["mean"] == pytest.approx(np.mean(accuracies))
        assert row["standard_deviation"] == pytest.approx(np.std(accuracies, ddof=1))
        assert [row["minimum"], row["maximum"]] == sorted(accuracies)
    assert rows[0]["mean"] >= rows[1]["mean"]
    assert "with 2 against 2 seeds, the smallest p is 0.33" in result.err
    assert "So few seeds cannot show a difference" in result.err
    with (folder / "runs.csv").open() as file:
        table = list(csv.DictReader(file))
    assert sorted(Path(row["run"]).name for row in table) == sorted(NAMES)
    best = [float(row["accuracy"]) for row in table if float(row["training.learning_rate"]) == 0.01]
    assert sorted(best) == sorted(
        next(r for r in rows if r["settings"] == {"training.learning_rate": 0.01})["accuracies"]
    )


def test_runs_lists_the_sweep_and_compare_draws_its_settings_as_bands(swept: tuple[Path, Result]) -> None:
    folder, result = swept
    rows = result.json["rows"]
    (line,) = (entry for entry in run_cli("runs", "--json", cwd=folder).json if entry["name"] == "rates")
    assert (line["status"], line["runs"], line["iterations"]) == ("finished", 4, 240)
    assert line["accuracy"] == max(row["maximum"] for row in rows)
    listed = run_cli("runs", "rates", "--json", cwd=folder).json
    assert sorted(entry["name"] for entry in listed) == sorted(NAMES)
    compared = run_cli("compare", "rates", "--json", "--output", "bands.png", cwd=folder)
    assert compared.json["groups"] == [row["runs"] for row in rows]
    assert compared.json["figures"] == ["bands.png"]
    assert (folder / "bands.png").read_bytes().startswith(b"\x89PNG")
    assert " ".join(compared.err.split()).count(f"60 {rows[0]['mean']:.2%} {rows[1]['mean']:.2%}") == 1
    assert "learning_rate 0.01" in compared.err
    assert "training.seed" not in compared.err


def test_each_run_has_the_bits_of_train(swept: tuple[Path, Result]) -> None:
    """The last run, too, before which the same process has trained three others."""
    folder, _ = swept
    options = [*COMMON, "--iterations", 60, "--learning-rate", 0.01, "--seed", 3, "--name", "alone"]
    assert run_cli("train", *options, cwd=folder).status == 0
    assert bits(folder / "runs" / "rates" / NAMES[-1]) == bits(folder / "runs" / "alone")


def test_killed_interrupted_and_finished_by_two_processes(swept: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = swept
    arguments = ["sweep", "rates", *COMMON, *VARIED, "--iterations", 60]
    kill_in(tmp_path, f"runs/rates/{NAMES[2]}", 20, arguments)
    assert json.loads((tmp_path / "runs" / "rates" / NAMES[2] / "run.json").read_text())["status"] == "running"
    kept = (tmp_path / "runs" / "rates" / NAMES[0] / "run.json").stat().st_mtime_ns
    results = finish_together(tmp_path, arguments, arguments)
    assert [result.status for result in results] == [0, 0], results
    assert (tmp_path / "runs" / "rates" / NAMES[0] / "run.json").stat().st_mtime_ns == kept, "finished runs stay"
    for name in NAMES:
        assert bits(tmp_path / "runs" / "rates" / name) == bits(folder / "runs" / "rates" / name), name
    finished = [line for result in results for line in result.err.splitlines() if "%" in line]
    assert len(finished) == len(set(finished)) == 3, "each of the runs that were left was trained once"


def test_seeds_and_values_that_two_processes_add_at_the_same_moment_are_all_there(tmp_path: Path) -> None:
    common = ["sweep", "rates", *COMMON, "--iterations", 30]
    more = ["--vary", "training.learning_rate=0.01"]
    results = finish_together(tmp_path, [*common, "--seeds", "0,1"], [*common, *more, "--seeds", "1"])
    assert [result.status for result in results] == [0, 0], results
    kept = sorted(path.stat().st_mtime_ns for path in tmp_path.glob("runs/rates/*/run.json"))
    result = run_cli(*common, "--seeds", "0", "--json", cwd=tmp_path)
    rows = {row["settings"]["training.learning_rate"]: row["seeds"] for row in result.json["rows"]}
    assert rows == {1e-4: [0, 1], 0.01: [1]}
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.glob("runs/rates/*/run.json")) == kept


def test_other_data_than_that_of_any_run_there_is_refused_before_a_training(
    swept: tuple[Path, Result], tmp_path: Path
) -> None:
    shutil.copytree(swept[0] / "runs" / "rates" / NAMES[0], tmp_path / "runs" / "rates" / NAMES[0])
    other = write_folder(tmp_path / "data", small_arrays())
    result = run_cli("sweep", "rates", *SMALL, "--data-dir", other, "--seeds", "7", cwd=tmp_path)
    assert (result.status, result.out) == (1, "")
    assert f"The run {NAMES[0]} was trained on other data than" in result.err
    assert "or train under another name" in result.err
    assert [path.name for path in (tmp_path / "runs" / "rates").iterdir()] == [NAMES[0]]


def test_an_interrupt_says_how_to_continue(tmp_path: Path) -> None:
    arguments = ["sweep", "long", *COMMON, "--seeds", "0", "--iterations", 100_000]
    with started(tmp_path, arguments) as (process,):
        wait_until(process, lambda: lines(tmp_path / "runs" / "long" / "seed-0") >= 20)
        os.kill(process.pid or 0, signal.SIGINT)
        process.join(timeout=60)
    assert process.exitcode == 130
    said = (tmp_path / "0.err").read_text()
    assert f"Continue with the same command: cnnmnist {shlex.join(map(str, arguments))}" in said
    assert json.loads((tmp_path / "runs" / "long" / "seed-0" / "run.json").read_text())["status"] == "interrupted"


def test_a_run_that_another_process_trains_is_left_alone(tmp_path: Path) -> None:
    arguments = ["sweep", "long", *COMMON, "--seeds", "0", "--iterations", 100_000]
    with started(tmp_path, arguments) as (process,):
        run = tmp_path / "runs" / "long" / "seed-0"
        wait_until(process, lambda: lines(run) >= 20)
        result = run_cli(*arguments, "--json", cwd=tmp_path)
        assert process.is_alive()
    assert result.status == 0
    assert result.json["rows"][0]["unfinished"] == ["runs/long/seed-0"]
    assert result.json["rows"][0]["mean"] is None
    assert "Not finished: 1 of 1 runs" in result.err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (
            ["--vary", "training.learning_rate=1e-3,-1"],
            2,
            "training.learning_rate: input should be greater than 0",
        ),
        (["--vary", "training.learning_rat=1e-3"], 2, "did you mean 'training.learning_rate'?"),
        (["--vary", "training.learning_rate"], 2, "write it as KEY=VALUE,VALUE"),
        (["--vary", "training.learning_rate="], 2, "write it as KEY=VALUE,VALUE"),
        (["--vary", "training.learning_rate=[1"], 2, "is not valid YAML"),
        (["--vary", "training.learning_rate=1,2", "--learning-rate", "1"], 2, "is given twice"),
        (["--vary", "config=fast,nothing"], 2, "There is no recipe or file 'nothing'"),
        (["--vary", "config=fast", "--config", "best"], 2, "config is given twice"),
        (["--vary", "training.seed=1,2"], 2, "choose the seeds with --seeds"),
        (["--set", "training.seed=1"], 2, "choose the seeds with --seeds"),
        (["--vary", "dataset=mnist,mnist5k"], 2, "one for all runs, with --dataset"),
        (["--seeds", "4-0"], 2, "is not a list of seeds"),
        (["--seeds", "0-99999999999"], 2, "is not a list of seeds"),
        (["--seeds", "0,x"], 2, "is not a list of seeds"),
        (["--seeds", "-1"], 2, "is not a list of seeds"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_training(
    cli: Cli, tmp_path: Path, options: list[str], status: int, message: str
) -> None:
    result = cli("sweep", "rates", "--dataset", "mnist5k", *options)
    assert (result.status, result.out) == (status, "")
    assert message in result.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["latest", ".hidden", "x" * 65, "\x1b[31m", "../x", "rates/x", "/x", ""])
def test_a_name_that_could_do_harm_is_refused(cli: Cli, tmp_path: Path, name: str) -> None:
    result = cli("sweep", name, "--dataset", "mnist5k")
    assert (result.status, result.out) == (1, "")
    assert "cannot name a run or a sweep" in result.err
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_run_is_refused(cli: Cli, tmp_path: Path) -> None:
    create_run(tmp_path / "runs", "mine", load_recipe(), load_dataset("mnist5k"))
    result = cli("sweep", "mine", "--dataset", "mnist5k")
    assert (result.status, result.out) == (1, "")
    assert "There is already a run 'mine' in runs: choose another name" in result.err


@pytest.mark.long
def test_fast_three_values_and_three_seeds_killed_twice_and_finished_by_two(tmp_path: Path) -> None:
    """The issue's own case, on the embedded digits: every run has the bits of an undisturbed sweep."""
    options = ["--config", "fast", "--dataset", "mnist5k", "--seeds", "0-2"]
    arguments = ["sweep", "rates", *options, "--vary", "training.learning_rate=1e-3,3e-3,6e-3"]
    names = [f"{rate}-seed-{seed}" for seed in range(3) for rate in ("0.001", "0.003", "0.006")]
    (alone := tmp_path / "undisturbed").mkdir()
    with started(alone, arguments) as (process,):
        process.join(timeout=1_200)
        assert process.exitcode == 0, (alone / "0.err").read_text()
    kill_in(tmp_path, f"runs/rates/{names[1]}", 500, arguments)
    kill_in(tmp_path, f"runs/rates/{names[4]}", 300, arguments)
    results = finish_together(tmp_path, arguments, arguments)
    assert [result.status for result in results] == [0, 0], results
    trained = [sum("%" in line for line in result.err.splitlines()) for result in results]
    assert sum(trained) == 5
    assert min(trained) > 0, "both processes take runs"
    for name in names:
        assert bits(tmp_path / "runs/rates" / name) == bits(alone / "runs/rates" / name), name
