"""The documentation as a site: the same Markdown that the repository shows, `make docs`."""

from sphinx.application import Sphinx

project = "cnnmnist"
extensions = ["myst_parser"]
root_doc = "README"
PAGES = [
    "docs/tutorial",
    "docs/exercises",
    "docs/inside",
    "docs/robustness",
    "docs/own-digits",
    "docs/other-data",
    "docs/recipes",
    "docs/runs",
    "docs/measuring",
    "docs/handwriting",
    "docs/pretrained",
    "docs/library",
    "docs/cli",
    "docs/export",
    "docs/distributed",
    "docs/platforms",
    "docs/performance",
    "benchmarks/README",
    "docs/reliability",
    "docs/architecture",
    "src/cnnmnist/data/mnist5k/README",
    "CONTRIBUTING",
    "CHANGELOG",
    "SECURITY",
]
include_patterns = [f"{page}.md" for page in (root_doc, *PAGES)]
nitpicky = True
myst_heading_anchors = 4
html_theme = "furo"
html_title = "cnnmnist"
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}


def setup(app: Sphinx) -> None:
    """Add to the first page what the sidebar lists, which on other sites would only be noise."""

    def add_pages(app: Sphinx, page: str, source: list[str]) -> None:
        if page == root_doc:
            source[0] += "\n".join(["\n```{toctree}", ":hidden:", *PAGES, "```\n"])

    app.connect("source-read", add_pages)
