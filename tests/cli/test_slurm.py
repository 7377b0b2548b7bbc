"""``cnnmnist`` in jobs of Slurm, which runs on this machine."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import command, only_run
from support.clusters import LONG, PATIENCE, process_with, status, wait_for_iterations, weights
from support.slurm import missing_programs, run, slurm

MISSING = missing_programs()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("clusters"),
    pytest.mark.skipif(bool(MISSING), reason=f"Slurm is not installed: there is no {', '.join(MISSING)}"),
]
SLURM = ["--cluster", "slurm", "--cluster-timeout", "120"]
ENDED = ("COMPLETED", "CANCELLED", "FAILED", "NODE_FAIL", "TIMEOUT")
DOCUMENT = Path(__file__).parents[2] / "docs" / "distributed.md"


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    with slurm() as environment:
        yield environment


@pytest.fixture(scope="module")
def undisturbed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two tasks, which nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = run(["srun", "-n2", *command(*LONG, *SLURM)], environment, folder)
    print(done.stderr, done.stdout)
    assert done.returncode == 0, done.stderr
    assert "Strategy multi-worker: 2 x 8 images per iteration" in done.stdout
    return only_run(folder)


def submit(script: str, environment: dict[str, str], folder: Path, *options: str) -> str:
    """Submit a batch script, and return the number of the job."""
    (folder / "job.sh").write_text(script)
    done = run(["sbatch", "--parsable", "--output=%A-%a.log", *options, "job.sh"], environment, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_for_state(job: str, environment: dict[str, str], *states: str) -> list[str]:
    """Wait until all tasks of a job are in one of these states, and return their states and exit statuses."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        shown = run(["scontrol", "show", "job", job, "--oneliner"], environment).stdout.splitlines()
        fields = [dict(part.partition("=")[::2] for part in line.split(" ")) for line in shown]
        if fields and all(each["JobState"] in states for each in fields):
            return [f"{each['JobState']} {each['ExitCode']}" for each in fields]
        time.sleep(0.2)
    raise AssertionError(f"job {job} is not {' or '.join(states)}: {shown}")


def logs(folder: Path) -> str:
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))
    assert "Traceback" not in text, text
    return text


def documented(option: str, runs_dir: Path, arguments: list[str]) -> str:
    """The batch script of docs/distributed.md with this option of sbatch, and with other arguments of cnnmnist."""
    scripts = [part.partition("```")[0] for part in DOCUMENT.read_text("utf-8").split("```sh\n")]
    (script,) = (each for each in scripts if f"#SBATCH {option}" in each)
    for old, new in {
        "--vary training.learning_rate=1e-3,3e-3 ": "",
        "cnnmnist ": f"{shell(command())} ",
        "/shared/runs": str(runs_dir),
        "--data-dir /shared/mnist": shell(arguments),
    }.items():
        script = script.replace(old, new)
    return script


def shell(arguments: list[str]) -> str:
    return " ".join(f"'{argument}'" for argument in arguments)


def test_tasks_on_reserved_ports_train_the_same_network(
    environment: dict[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    show = f"echo ports $SLURM_STEP_RESV_PORTS; exec {shell(command(*LONG, *SLURM))}"
    done = run(["srun", "-n2", "--resv-ports=2", "sh", "-c", show], environment, tmp_path)
    print(done.stderr, done.stdout)
    assert done.returncode == 0, done.stderr
    assert len({line for line in done.stdout.splitlines() if line.startswith("ports 2")}) == 1
    assert weights(only_run(tmp_path)) == weights(undisturbed)


def test_a_cancelled_job_is_interrupted_in_order_and_goes_on(
    environment: dict[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    script = "#!/bin/sh\n#SBATCH --ntasks=2\nsrun " + shell(command("train"))
    job = submit(f"{script} {shell([*LONG[1:], *SLURM])}\n", environment, tmp_path)
    wait_for_iterations(tmp_path, 300)
    run(["scancel", job], environment)
    wait_for_state(job, environment, *ENDED)
    print(logs(tmp_path))
    (interrupted,) = (tmp_path / "runs").iterdir()
    assert status(interrupted) == "interrupted"
    job = submit(f"{script} --resume latest --checkpoint-every 200 {shell(SLURM)}\n", environment, tmp_path)
    assert wait_for_state(job, environment, *ENDED) == ["COMPLETED 0:0"]
    print(logs(tmp_path))
    assert status(interrupted) == "finished"
    assert weights(only_run(tmp_path)) == weights(undisturbed)


def test_a_requeued_job_goes_on_by_its_own_script(
    environment: dict[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    job = submit(documented("--requeue", tmp_path / "runs", LONG[1:]), environment, tmp_path)
    wait_for_iterations(tmp_path, 300)
    assert run(["scontrol", "requeue", job], environment).returncode == 0
    assert wait_for_state(job, environment, *ENDED) == ["COMPLETED 0:0"]
    print(logs(tmp_path))
    (shown,) = run(["scontrol", "show", "job", job, "--oneliner"], environment).stdout.splitlines()
    assert "Restarts=1" in shown
    assert only_run(tmp_path).name == f"job-{job}"
    assert status(only_run(tmp_path)) == "finished"
    assert weights(only_run(tmp_path)) == weights(undisturbed)


@pytest.mark.parametrize("victim", [0, 1])
def test_without_a_killed_task_the_other_ends_and_both_go_on_later(
    environment: dict[str, str], undisturbed: Path, tmp_path: Path, victim: int
) -> None:
    runs = tmp_path / "runs"
    with subprocess.Popen(
        ["srun", "-n2", *command(*LONG, *SLURM, "--runs-dir", runs)],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as job:  # fmt: skip
        wait_for_iterations(tmp_path, 500)
        os.kill(process_with(runs, f"SLURM_PROCID={victim}\0"), signal.SIGKILL)
        printed = job.communicate(timeout=PATIENCE)[0]
    print(printed)
    assert job.returncode != 0
    (error,) = (line for line in printed.splitlines() if line.startswith("Error: "))
    assert f"Lost worker {victim} (" in error
    done = run(
        ["srun", "-n2", *command("train", "--resume", "latest", "--checkpoint-every", 200, *SLURM)],
        environment, tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert weights(only_run(tmp_path)) == weights(undisturbed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "mnist5k"], "--dataset cannot be given with --resume"),
        (["--learning-rate", "0.7"], "--learning-rate contradicts the recipe"),
        (["--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_no_task_waits_for_another_that_refuses(
    environment: dict[str, str], undisturbed: Path, arguments: list[str], message: str
) -> None:
    before = time.monotonic()
    done = run(
        ["srun", "-n2", *command("train", "--resume", "latest", "--cluster", "slurm", *arguments)],
        environment, undisturbed.parents[1],
    )  # fmt: skip
    print(done.stderr)
    assert time.monotonic() - before < 90
    assert done.returncode in (1, 2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 2
    assert all(message in error for error in errors)


def test_a_job_array_works_off_a_sweep_together(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["--config", "fast", "--iterations", "100", "--dataset", "mnist5k", "--seeds", "0-2"]
    arguments += ["--vary", "training.learning_rate=1e-3,3e-3", "--json"]
    job = submit(
        documented("--array=0-3", tmp_path / "runs", arguments),
        environment,
        tmp_path,
        "--array=0-1",
        "--error=%A-%a.err",
    )
    assert wait_for_state(job, environment, *ENDED) == ["COMPLETED 0:0"] * 2
    for path in sorted(tmp_path.glob("*.err")):
        print(path.name, path.read_text(), sep="\n")
    metadata = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("**/run.json")]
    assert [(each["status"], each["iteration"]) for each in metadata] == [("finished", 100)] * 6
    documents = [json.loads(path.read_text()) for path in tmp_path.glob("*.log")]
    complete = [each for each in documents if all(len(row["accuracies"]) == 3 for row in each["rows"])]
    assert complete, "the job that ends last sees all runs"
    assert [row["settings"] for row in complete[0]["rows"]] == [
        {"training.learning_rate": 1e-3}, {"training.learning_rate": 3e-3},
    ]  # fmt: skip
