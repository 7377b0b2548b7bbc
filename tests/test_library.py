"""The package as a library: what it offers, how quickly, and that its documentation is true."""

import ast
import contextlib
import inspect
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cnnmnist

pytestmark = pytest.mark.xdist_group("library")  # all on the worker that takes the tour
ROOT = Path(__file__).parents[1]
LIBRARY, README = ((ROOT / name).read_text() for name in ("docs/library.md", "README.md"))
HEAVY = {"tensorflow", "keras", "numpy", "pydantic", "matplotlib", "sklearn", "scipy", "yaml", "click", "rich"}


def test_importing_it_imports_nothing_else() -> None:
    script = (
        "import sys, cnnmnist\n"
        "assert {'train', 'load_run', 'CnnMnistError'} <= set(dir(cnnmnist))\n"
        f"print({HEAVY} & set(sys.modules))\n"
        "from cnnmnist import CnnMnistError, image_grid\n"
        f"print({HEAVY} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set()", "{'numpy'}"]


def test_what_type_checkers_see_is_what_there_is() -> None:
    package = Path(cnnmnist.__file__)
    stub = ast.parse((package.parent / "__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    modules = {alias.asname: f"cnnmnist.{node.module}" for node in imports for alias in node.names}
    assert sorted(modules) == sorted(cnnmnist.__all__)
    for name, module in modules.items():
        value = getattr(cnnmnist, str(name))
        assert value is getattr(sys.modules[module], str(name))
        assert inspect.getdoc(value)
    with pytest.raises(AttributeError, match="No cnnmnist attribute find_run"):
        cnnmnist.find_run  # type: ignore[attr-defined]  # noqa: B018
    assert (package.parent / "py.typed").exists()


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Where the program of docs/library.md ran, its variables and what it printed."""
    folder, variables, printed = tmp_path_factory.mktemp("tour"), dict[str, Any](), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        for block in re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL):
            exec(block, variables)
    return folder, variables, printed.getvalue()


def test_the_tour_does_what_it_says(tour: tuple[Path, dict[str, Any], str]) -> None:
    folder, variables, printed = tour
    run, report = variables["run"], variables["report"]
    assert (str(run.directory), run.metadata.status, run.metadata.iteration) == ("runs/first", "finished", 60)
    ladder = run.metadata.ladder
    untrained, accuracy = ladder[0].accuracy, ladder[-1].accuracy
    assert printed.splitlines() == [
        *(f"{rung.iteration:>5} iterations: {rung.accuracy:.1%} of the test split" for rung in ladder),
        f"{accuracy:.1%}, {report.correct} of 1000",
        f"{untrained:.1%}",
        "There is no run 'second', neither in runs nor as a directory with a run.json.",
    ]
    assert [rung.iteration for rung in ladder] == [0, 1, 50, 60]
    assert untrained < 0.3 < accuracy
    files = ("errors.png", "confusion.svg", "runs/first/figures/curve.png", "runs/first/model.keras")
    assert all((folder / file).stat().st_size > 5_000 for file in files)


def test_the_example_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(block.replace('("fast")', '("fast", {"training.iterations": 2})'), {})
    assert re.fullmatch(r"\d+\.\d%\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["filters_of_channel_3", "outputs_of_conv1", "diagram", "confusion"])
def test_notebooks_can_show_the_figures(tour: tuple[Path, dict[str, Any], str], name: str) -> None:
    figure = tour[1][name]
    picture, metadata = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert metadata == {"width": round(96 * figure.get_figwidth())}
    assert len(picture) > 5_000


def test_shapes_and_dtypes_are_the_documented_ones(tour: tuple[Path, dict[str, Any], str]) -> None:
    variables = tour[1]
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| \((.+?),?\) \| ", LIBRARY, re.MULTILINE)
    assert len(rows) == 12
    sizes = {"n": 1_000, "e": len(variables["report"].errors), "i": 60}
    for expression, dtype, shape in rows:
        value = eval(expression, variables)
        assert getattr(value.dtype, "name", value.dtype) == dtype, expression
        documented = [sizes.get(side) or int(side) for side in shape.split(", ")]
        assert list(value.shape) == documented, expression


def test_every_name_is_documented() -> None:
    listed = re.findall(r"`(\w+)`", LIBRARY.partition("## All names")[2])
    assert set(cnnmnist.__all__) <= set(listed)
