"""The layers, the picture and the tables of docs/architecture.md are those of the code."""

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from graphlib import TopologicalSorter
from pathlib import Path

import build_architecture
import grimp
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "cnnmnist"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
TABLE = dict(re.findall(r"^\| `([\w/]+\.py)` \| (|yes) ?\| .+ \|$", PAGE, re.MULTILINE))
MODULES = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cnnmnist", cache_dir=None)


def test_the_picture_is_drawn_from_the_imports() -> None:
    assert build_architecture.PATH.read_text() == build_architecture.picture(), (
        "run python scripts/build_architecture.py"
    )


def test_the_tables_list_every_module() -> None:
    only_docstrings = [name for name in MODULES if len(ast.parse((PACKAGE / name).read_text()).body) == 1]
    assert all(name.endswith("/__init__.py") for name in only_docstrings)
    assert sorted(TABLE) == sorted(set(MODULES) - set(only_docstrings))


def test_the_tables_say_which_modules_import_tensorflow() -> None:
    names = {each: f"cnnmnist.{each.removesuffix('.py')}".replace("/", ".") for each in TABLE}
    del names["__main__.py"]  # it would run
    script = (
        "import importlib, sys\n"
        "sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "for name in sys.argv[1:]:\n"
        "    try: importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error: print(name if error.name == 'keras' else error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *names.values()], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [name for each, name in names.items() if TABLE[each]]


@pytest.mark.parametrize(("line", "status"), [("", 0), ("import cnnmnist.runs.store", 1)])
def test_an_import_of_a_higher_layer_fails_the_checks(tmp_path: Path, line: str, status: int) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in MODULES:
        copy = tmp_path / "src" / "cnnmnist" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, copy)
    with (tmp_path / "src" / "cnnmnist" / "data" / "idx.py").open("a") as module:
        module.write(f"{line}\n")
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), "lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done
    assert ("cnnmnist.data.idx -> cnnmnist.runs.store" in done.stdout) == bool(status)


def test_no_imports_go_in_a_circle(graph: grimp.ImportGraph) -> None:
    TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}).prepare()


def test_only_the_command_line_imports_the_library_as_a_whole(graph: grimp.ImportGraph) -> None:
    assert all(name.startswith("cnnmnist.cli") for name in graph.find_modules_that_directly_import("cnnmnist"))


def test_only_the_command_line_prints_parses_and_exits() -> None:
    forbidden = r"\bprint\(|\bexit\(|\bSystemExit\b|^\s*(import|from) (argparse|click|rich)\b"
    found = [name for name in MODULES if re.search(forbidden, (PACKAGE / name).read_text(), re.MULTILINE)]
    assert found
    assert all(name.startswith("cli/") for name in found)


def test_only_two_modules_import_tensorflow_directly() -> None:
    direct = r"^\s*(import|from) (tensorflow|keras)\b"
    found = [name for name in MODULES if re.search(direct, (PACKAGE / name).read_text(), re.MULTILINE)]
    assert sorted(found) == ["distributed/strategy.py", "runtime.py"]
