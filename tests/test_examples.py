"""The notebook, executed from its first cell to its last as Jupyter does it."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from cnnmnist.runs.store import load_run

pytestmark = pytest.mark.xdist_group("notebook")  # all on the worker that executes it
NOTEBOOK = Path(__file__).parents[1] / "examples" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """Where it ran for a few iterations with no network, and each cell's outputs."""
    folder, notebook = tmp_path_factory.mktemp("notebook"), nbformat.read(NOTEBOOK, 4)
    (number,) = [n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    notebook.cells.insert(number + 1, nbformat.v4.new_code_cell("ITERATIONS = 120"))
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=240, resources=resources, allow_errors=False).execute()
    return folder, {cell.id: cell.get("outputs", []) for cell in notebook.cells}


def printed(outputs: list[Any]) -> str:
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def test_it_shows_what_the_run_reached(executed: tuple[Path, dict[str, list[Any]]]) -> None:
    folder, outputs = executed
    run = load_run("latest", folder / "runs")
    assert (run.metadata.status, run.metadata.iteration, run.metadata.dataset.name) == ("finished", 120, "mnist5k")
    ladder = re.findall(r"^ *([\d,]+) iterations: +(\S+)%", printed(outputs["train"]), re.MULTILINE)
    assert ladder == [(f"{rung.iteration:,}", f"{100 * rung.accuracy:.1f}") for rung in run.metadata.ladder]
    assert [iterations for iterations, _ in ladder] == ["0", "1", "100", "120"]
    assert float(ladder[0][1]) < 20 < 50 < float(ladder[-1][1])
    assert printed(outputs["untrained"]).startswith(f"{ladder[0][1]}%, ")
    (measured,) = re.findall(r"(\S+)%: (\d+) of 1,000 images are misclassified", printed(outputs["evaluate"]))
    assert measured == (ladder[-1][1], str(1_000 - round(1_000 * run.metadata.ladder[-1].accuracy)))
    assert "242,062 parameters" in printed(outputs["shapes"])
    assert "(3500, 28, 28), uint8" in printed(outputs["load"])
    assert "(5, 5, 16, 36)" in printed(outputs["conv2-weights-0"])
    assert not [output for cell in outputs.values() for output in cell if output.get("name") == "stderr"]


def test_it_shows_its_figures(executed: tuple[Path, dict[str, list[Any]]]) -> None:
    figures: dict[str, np.ndarray] = {}
    for cell, outputs in executed[1].items():
        for output in outputs:
            if output.output_type == "execute_result":
                picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
                figures[cell] = np.asarray(picture.convert("L"))
    assert list(figures) == [
        "images", "build", "curve", "wrong", "matrix", "conv1-weights", "conv2-weights-0", "conv2-weights-1",
        "draw-outputs", "conv1-image-13", "conv2-image-0", "conv2-image-13",
    ]  # fmt: skip
    assert all(min(pixels.shape) > 300 and pixels.std() > 10 for pixels in figures.values())
    assert len({pixels.tobytes() for pixels in figures.values()}) == 12


def test_it_is_kept_without_outputs_and_machine() -> None:
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell["metadata"] in ({}, {"tags": ["parameters"]})
