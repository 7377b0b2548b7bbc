"""The report of a run: what is in the file, and what a reader can open in a real browser."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnmnist.data.loading import load_dataset
from cnnmnist.evaluation import evaluate
from cnnmnist.pages.report import report_page
from cnnmnist.recipes import load_recipe
from cnnmnist.runs.store import load_run
from conftest import Result, run_cli
from support.pages import outside, started, visited

pytestmark = pytest.mark.xdist_group("trained")

DATA = load_dataset("mnist5k")


@pytest.fixture(scope="module")
def written(trained: tuple[Path, Result]) -> Path:
    result = run_cli("report", "--no-open", "--json", "-o", "report.html", cwd=trained[0])
    assert result.status == 0
    assert result.json["file"] == "report.html"
    return trained[0] / "report.html"


def test_it_tells_what_the_run_did_and_names_no_place(written: Path, trained: tuple[Path, Result]) -> None:
    page = written.read_text("utf-8")
    run = load_run("latest", trained[0] / "runs")
    report = evaluate(run.load_network(), DATA.test)
    assert f"{100 * report.accuracy:.2f} %" in page
    assert run.metadata.dataset.digest in page
    assert run.metadata.processor in page
    assert page.count("<li><svg") == min(1_000, len(report.errors))
    assert page.count('class="line"') == 2
    assert page.count("data-label=") == np.count_nonzero(report.confusion_matrix)
    assert str(trained[0]) not in page
    assert outside(page) == []
    assert set(re.findall(r"https?://[^\"\s]*", page)) <= {"https://arxiv.org/abs/2103.14749"}
    assert "while it learned" in page


def test_command_and_recipe_train_the_same_run_again(
    written: Path, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    assert "<pre>cnnmnist train --config recipe.yaml --dataset mnist5k</pre>" in written.read_text("utf-8")
    with started() as browser, visited(browser, written) as page:
        with page.expect_download() as download:
            page.get_by_role("link", name="recipe.yaml").click()
        assert download.value.suggested_filename == "recipe.yaml"
        download.value.save_as(tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == load_run("latest", trained[0] / "runs").metadata.recipe


def test_cells_and_snapshots_can_be_opened(written: Path) -> None:
    with started() as browser, visited(browser, written, viewport={"width": 390, "height": 844}) as page:
        cell = page.locator("#matrix button.wrong").first
        count = int(cell.inner_text())
        cell.click()
        page.wait_for_function("document.getElementById('cell').width > 0")
        assert f"Images: {count}, here: {count}." in page.locator("#cell-about").inner_text()
        before = page.locator("#movie").get_attribute("src")
        page.locator("#frame").fill("0")
        assert page.locator("#movie").get_attribute("src") != before
        assert page.locator("#movie-text").inner_text().startswith("after 0 iterations")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert page.evaluate("cnnmnist.draw([[[0.5, 0.2], [0.5, 0.8]]]).text.length") == 1


def test_pretrained_has_no_curves_and_no_movie(tmp_path: Path) -> None:
    page = report_page(load_run("pretrained", tmp_path), DATA)
    assert "The network was trained on these images" in page
    assert 'class="line"' not in page
    assert "while it learned" not in page


@pytest.mark.full
def test_a_report_of_ten_thousand_images_is_small(mnist_dir: Path, tmp_path: Path) -> None:
    page = report_page(load_run("pretrained", tmp_path), load_dataset("mnist", mnist_dir))
    assert len(page.encode()) <= 2_500_000
    assert page.count("<em>Disputed:") == 7
    (images,) = re.findall(r'id="cell-images">(.*?)</script>', page)
    assert len(json.loads(images)["index"]) == 10_000


def test_without_test_images_it_is_one_sentence(tmp_path: Path, trained: tuple[Path, Result]) -> None:
    result: Any = run_cli("report", "pretrained", "--no-open", "--data-dir", "nothing", cwd=tmp_path)
    assert result.status == 1
    assert not (tmp_path / "runs").exists()
