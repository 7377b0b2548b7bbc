"""``cnnmnist`` in the workers and tasks of Ray, which runs on this machine."""

import ast
import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import only_run
from support.clusters import LONG, PATIENCE, process_with, status, wait_for_iterations, weights

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("clusters"),
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'ray[train]'"
    ),
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "distributed.md"
START = """
import ray
ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir={temporary!r})
"""


def example(number: int, command: list[str]) -> str:
    """An example of docs/distributed.md, in which two workers run another command."""
    source = DOCUMENT.read_text("utf-8").split("```python\n")[number + 1].partition("```")[0]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            node.value = ast.List([ast.Constant(each) for each in command], ast.Load())
        if isinstance(node, ast.keyword) and node.arg == "num_workers":
            node.value = ast.Constant(2)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            node.args = [ast.Constant(2)]
    return ast.unparse(ast.fix_missing_locations(tree))


@contextlib.contextmanager
def ray(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a Ray of its own; no process of it is left when the block ends."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as temporary:
        environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
        with subprocess.Popen(
            [sys.executable, "-c", START.format(temporary=temporary) + script],
            cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        ) as driver:  # fmt: skip
            try:
                yield driver
            finally:
                with contextlib.suppress(ProcessLookupError):
                    driver.kill()


def ended(driver: subprocess.Popen[str]) -> tuple[int, str]:
    printed = driver.communicate(timeout=PATIENCE)[0]
    print(printed)
    return driver.returncode, printed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two workers, which nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with ray(example(0, [*LONG, "--runs-dir", str(folder / "runs")]), folder) as driver:
        returned, printed = ended(driver)
    assert returned == 0
    assert "Strategy multi-worker: 2 x 8 images per iteration" in printed
    return only_run(folder)


def test_two_workers_train_one_run(undisturbed: Path) -> None:
    metadata = json.loads((undisturbed / "run.json").read_text())
    assert [metadata[key] for key in ("status", "strategy", "replicas", "iteration")] == [
        "finished", "multi-worker", 2, 2_000,
    ]  # fmt: skip


@pytest.mark.parametrize("victim", [0, 1])
def test_without_a_killed_worker_the_other_ends_and_both_go_on_later(
    undisturbed: Path, tmp_path: Path, victim: int
) -> None:
    runs = tmp_path / "runs"
    with ray(example(0, [*LONG, "--runs-dir", str(runs)]), tmp_path) as driver:
        wait_for_iterations(tmp_path, 500)
        os.kill(process_with(runs, f'"index": {victim}'), signal.SIGKILL)
        returned, printed = ended(driver)
    assert returned != 0
    assert f"Lost worker {victim} (" in printed
    resume = ["train", "--resume", "latest", "--checkpoint-every", "200", "--runs-dir", str(runs)]
    with ray(example(0, resume), tmp_path) as driver:
        assert ended(driver)[0] == 0
    assert status(only_run(tmp_path)) == "finished"
    assert weights(only_run(tmp_path)) == weights(undisturbed)


def test_tasks_work_off_a_sweep_together(tmp_path: Path) -> None:
    arguments = ["--config", "fast", "--iterations", "100", "--dataset", "mnist5k", "--seeds", "0-2"]
    arguments += ["--vary", "training.learning_rate=1e-3,3e-3", "--runs-dir", str(tmp_path / "runs"), "--json"]
    with ray(example(1, ["sweep", "rates", *arguments]), tmp_path) as driver:
        assert ended(driver)[0] == 0
    metadata = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("**/run.json")]
    assert [(each["status"], each["iteration"]) for each in metadata] == [("finished", 100)] * 6
