"""Write docs/architecture.svg from the imports in src; a test fails when it is not what this would write.

The rows are the layers that pyproject.toml names. An arrow that follows from others is left out: where a imports
b, and b imports c, no arrow leads from a to c. All arrows to a box join in the column above it.
"""

import textwrap
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PATH = ROOT / "docs" / "architecture.svg"
PACKAGE = "cnnmnist"
WIDTH, MARGIN, ROW_GAP, ARROW_GAP, HEAD = 890, 12, 42, 14, 10
NAME, MODULE, ASPECT = 14, 11, 0.65  # sizes of the fonts, and how wide a character is at most for its size
# The middle of each box. The script ends with an error when arrows in a column would run through another box.
COLUMNS = {
    **{"cli": 400, "pages": 82, "training": 586, "conversion": 384, "distributed": 564, "visualization": 95},
    **{"runs": 300, "evaluation": 729, "export": 585, "interpretation": 810, "summary": 470, "prediction": 64},
    **{"model": 656, "model_file": 354, "network": 230, "layers": 360, "data": 419, "recipes": 280},
    **{
        "calibration": 728,
        "statistics": 810,
        "runtime": 522,
        "config": 156,
        "threads": 50,
        "reading": 230,
        "files": 616,
        "errors": 230,
        "processor": 420,
        "robustness": 660,
    },
}
COLORS = ("#1f5fa8", "#b04a10", "#1b7446", "#7a3aa0", "#8a6a00", "#b01f4d", "#0f7285")
START = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>The modules of cnnmnist, from the command line down to the errors, and what they import</title>
<style>
path {{ fill: none; stroke-width: 1.7 }}
.under {{ stroke: #fff; stroke-width: 7 }}
rect {{ fill: #eef3fa; stroke: #4a5a70 }}
text {{ font: {module}px monospace; text-anchor: middle; fill: #3b4656 }}
.name {{ font-size: {name}px; font-weight: bold; fill: #111 }}
.note {{ font: 12px sans-serif; text-anchor: start }}
</style>
<rect width="{width}" height="{height}" style="fill: #fff; stroke: none"/>"""
NOTES = (
    "An arrow leads to what a box imports, ",
    "always in a lower row. Arrows that",
    "follow from other arrows are left out.",
)


def layers() -> list[list[str]]:
    """The names in each layer, from high to low."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return [line.split(" | ") for line in settings["tool"]["importlinter"]["contracts"][0]["layers"]]


def imports(graph: grimp.ImportGraph, names: list[str]) -> dict[str, list[str]]:
    """The boxes that each box imports, from left to right, without the imports that follow from others."""
    direct: dict[str, set[str]] = {name: set() for name in names}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            source, target = (f"{each}.".split(".")[1] for each in (module, other))
            if source in direct and target and source != target:
                direct[source].add(target)
    below: dict[str, set[str]] = {}
    for name in reversed(names):
        below[name] = direct[name].union(*(below[each] for each in direct[name]))
    left = {name: found.difference(*(below[each] for each in found)) for name, found in direct.items()}
    return {name: sorted(found, key=COLUMNS.__getitem__) for name, found in left.items()}


class Box:
    """A module, or a package with its modules."""

    def __init__(self, name: str, modules: list[str], row: int, top: int) -> None:
        self.name, self.row, self.x, self.top = name, row, COLUMNS[name], top
        self.lines = textwrap.wrap(", ".join(modules), 100 if name == "cli" else 24)
        widths = [len(name) * NAME * ASPECT, *(len(line) * MODULE * ASPECT for line in self.lines)]
        self.half = round(max(widths) / 2) + 8
        self.bottom = top + (32 + 15 * len(self.lines) if self.lines else 28)

    def exits(self, columns: list[int]) -> list[int]:
        """Where arrows to these columns leave the lower edge: above the columns, or as near as they can."""
        low, high = self.x - self.half + 10, self.x + self.half - 10
        exits: list[int] = []
        for column in columns:
            exits.append(max([column, low, *(each + ARROW_GAP for each in exits[-1:])]))
        return [min(each, high - ARROW_GAP * (len(exits) - 1 - index)) for index, each in enumerate(exits)]

    def svg(self) -> str:
        size = f'width="{2 * self.half}" height="{self.bottom - self.top}"'
        parts = [f'<rect x="{self.x - self.half}" y="{self.top}" {size} rx="5"/>']
        parts += [f'<text class="name" x="{self.x}" y="{self.top + 19}">{self.name}</text>']
        for index, line in enumerate(self.lines):
            parts += [f'<text x="{self.x}" y="{self.top + 36 + 15 * index}">{line}</text>']
        return "".join(parts)


def picture() -> str:
    """The text of the file."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    boxes: dict[str, Box] = {}
    tops = [MARGIN]
    for row, names in enumerate(layers()):
        for name in names:
            modules = [each.rpartition(".")[2] for each in graph.find_children(f"{PACKAGE}.{name}")]
            boxes[name] = Box(name, sorted(modules), row, tops[row])
        tops.append(max(boxes[name].bottom for name in names) + ROW_GAP)
    paths: dict[str, str] = {}  # by what they lead to
    for name, targets in imports(graph, list(boxes)).items():
        source = boxes[name]
        for target, out in zip(targets, source.exits([COLUMNS[each] for each in targets]), strict=True):
            x, end = COLUMNS[target], boxes[target]
            for other in boxes.values():
                if source.row < other.row < end.row and abs(other.x - x) < other.half + 8:
                    raise SystemExit(f"{other.name} is in the way from {name} to {target}: change COLUMNS")
            high, low = tops[source.row + 1] - ROW_GAP, tops[source.row + 1] - HEAD
            bend = f"C{out} {(high + low) // 2} {x} {(high + low) // 2} {x} {low}"
            paths[target] = paths.get(target, "") + f"M{out} {source.bottom}V{high}{bend}V{end.top - HEAD + 2}"
    arrows = []
    for index, (target, path) in enumerate(paths.items()):
        color = COLORS[index % len(COLORS)]
        head = f'<path style="fill: {color}" d="M{COLUMNS[target]} {boxes[target].top}l-4.5 -{HEAD}h9z"/>'
        arrows.append(f'<path class="under" d="{path}"/><path stroke="{color}" d="{path}"/>{head}')
    start = START.format(width=WIDTH, height=tops[-1] - ROW_GAP + MARGIN, name=NAME, module=MODULE)
    notes = [f'<text class="note" x="650" y="{tops[-4] + 20 * i}">{note}</text>' for i, note in enumerate(NOTES)]
    return "\n".join([start, *arrows, *(box.svg() for box in boxes.values()), *notes, "</svg>\n"])


if __name__ == "__main__":
    PATH.write_text(picture(), "utf-8")
