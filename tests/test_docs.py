"""Documentation that cannot rot: links, commands and the output shown are held to the program."""

import ast
import re
import shlex
import sys
from pathlib import Path

import build_cli_reference
import click
import pytest
import yaml
from sphinx.cmd.build import main as build_site

from cnnmnist.cli import main
from cnnmnist.recipes import recipe_names
from conftest import Result, run_cli
from support.addresses import free_addresses
from support.clusters import ended, started

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def commands(documents: list[Path]) -> list[str]:
    """In the order in which they are shown, each once."""
    lines = [line for each in documents for block in blocks(each, "console") for line in block.splitlines()]
    return list(dict.fromkeys(line[2:] for line in lines if line.startswith("$ cnnmnist")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("exercises/")])
def test_every_exercise_is_answered(name: str) -> None:
    answers = (ROOT / "docs" / "exercises.md").read_text()
    question = (ROOT / "configs" / f"{name}.yaml").read_text().splitlines()[0].removeprefix("# ")
    assert question.endswith("?")
    assert f"*{question}*" in answers.replace("\n", " ")
    assert f"`{name}`" in answers
    assert f"| `{name.removeprefix('exercises/')}` |" in answers, "measured"
    assert f"(figures/exercise-{name.removeprefix('exercises/')}.png)" in answers


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    arguments = ["-q", "--fail-on-warning", "-d", str(tmp_path), "-c", str(ROOT / "docs"), str(ROOT)]
    assert build_site([*arguments, str(tmp_path / "site")]) == 0
    assert "exercises.html" in (tmp_path / "site" / "README.html").read_text()


def distributed(language: str) -> list[str]:
    return blocks(ROOT / "docs" / "distributed.md", language)


def cluster_commands() -> list[str]:
    """Those that docs/distributed.md lets a shell, Slurm, Kubeflow and Ray start."""
    shell = [line for block in distributed("sh") for line in block.splitlines() if "cnnmnist train" in line]
    job = yaml.safe_load(distributed("yaml")[0])
    (container,) = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow", "the operator looks for this name"
    lists = [node for node in ast.walk(ast.parse(distributed("python")[0])) if isinstance(node, ast.List)]
    ray = next(ast.literal_eval(each) for each in lists if all(isinstance(e, ast.Constant) for e in each.elts))
    assert len(shell) == 5
    found = [re.sub("^.*cnnmnist", "cnnmnist", line) for line in shell]
    return [*found, shlex.join(container["command"]), shlex.join(["cnnmnist", *ray])]


@pytest.mark.long
@pytest.mark.xdist_group("clusters")
def test_the_two_shells_of_the_documentation_train_together(tmp_path: Path) -> None:
    ports = [address.rpartition(":")[2] for address in free_addresses(2)]
    scripts = distributed("sh")[:2]
    for old, new in zip(("5000", "5001"), ports, strict=True):
        scripts = [each.replace(old, new) for each in scripts]
    python = f'cnnmnist() {{ {sys.executable} -m cnnmnist "$@"; }}\n'
    with started([["bash", "-c", f"{python}export TF_CONFIG; {each}"] for each in scripts], tmp_path) as shells:
        results = [ended(each) for each in shells]
    assert [each.status for each in results] == [0, 0], results
    assert "Strategy multi-worker: 2 x 32 images per iteration" in results[0].out


@pytest.mark.parametrize("line", [*commands(DOCUMENTS), *cluster_commands()])
def test_every_command_shown_is_valid(line: str) -> None:
    name, *arguments = shlex.split(line)
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *arguments = arguments
        inner = command.get_command(click.Context(command), name)
        assert inner, name
        command = inner
    command.make_context(name, arguments)


def test_the_command_line_reference_is_what_the_program_prints() -> None:
    written = build_cli_reference.PATH.read_text()
    assert written == build_cli_reference.reference(), "run python scripts/build_cli_reference.py"


def shape(line: str) -> str:
    """A line of output without what differs from run to run: numbers, paths, padding and the length of rules."""
    return re.sub(r"\d[\d.,:-]*|\s+|─+|-$", "0", line.split(":")[0] if line.startswith("Figure") else line.strip())


def check_shown(document: Path, first_blocks: int | None, real: str) -> None:
    """Every line of output in a document's console blocks is, but for numbers, one of the real output."""
    known = {shape(line) for line in real.splitlines()}
    shown = "".join(blocks(document, "console")[:first_blocks]).splitlines()
    for line in shown:
        if line.startswith(("$", "...", "Recipe", "Run", "Digest", "mnist")):
            continue
        assert shape(line) in known, line


@pytest.mark.xdist_group("trained")
def test_the_output_shown_is_the_output(trained: tuple[Path, Result]) -> None:
    folder, training = trained
    real = training.out + training.err
    real += run_cli("evaluate", "--show-errors", cwd=folder).out
    real += run_cli("visualize", "--layer", "conv1", "--image", 13, cwd=folder).out
    check_shown(ROOT / "README.md", 3, real)


def test_the_tutorial_can_be_walked_with_the_embedded_digits(tmp_path: Path) -> None:
    document = ROOT / "docs" / "tutorial.md"
    lines = commands([document])
    assert len(lines) > 10
    real = ""
    for line in lines:
        short = ["--iterations", 2] if line.startswith("cnnmnist train") else []
        done = run_cli(*shlex.split(line)[1:], *short, cwd=tmp_path)
        assert done.status == 0, done.err
        real += done.out + done.err
    check_shown(document, None, real)
    figures = {path.name for path in (tmp_path / "runs" / "tutorial" / "figures").iterdir()}
    shown = re.findall(r"^Figure: runs/tutorial/figures/(.+)$", document.read_text(), re.MULTILINE)
    assert figures == set(shown)
