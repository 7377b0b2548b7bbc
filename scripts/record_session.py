"""Make the picture of a terminal for the README: the real output of commands on an existing run.

python scripts/record_session.py --run RUN docs/session.png
"""

import argparse
import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import MONOKAI as THEME
from rich.text import Text

WIDTH = 92
CELL = (8, 16)  # pixels per character
MARGIN = 12
BACKGROUND, FOREGROUND = (26, 27, 30), (220, 220, 220)


def recorded(command: str, arguments: list[str]) -> Text:
    """The standard output of a command in a terminal."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": str(WIDTH), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(command), *arguments],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # the terminal was closed at the other end
            break
        if not part:
            break
        output += part
    if process.wait():
        raise SystemExit(f"{command} failed")
    return Text.from_ansi(output.decode().replace("\r\n", "\n"))


def drawn(lines: list[list[Segment]]) -> Image.Image:
    """Draw lines of a terminal; half blocks become exact pixels, so images are sharp."""
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf", 13)
    picture = Image.new("RGB", (WIDTH * CELL[0] + 2 * MARGIN, len(lines) * CELL[1] + 2 * MARGIN), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        column = 0
        for text, style, _ in line:
            style = style or Style()
            ink = tuple(style.color.get_truecolor(THEME)) if style.color else FOREGROUND
            paper = tuple(style.bgcolor.get_truecolor(THEME)) if style.bgcolor else BACKGROUND
            for character in text:
                x, y = MARGIN + column * CELL[0], MARGIN + row * CELL[1]
                if character == "▀":
                    pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] - 1), paper)
                    pen.rectangle((x, y, x + CELL[0] - 1, y + CELL[1] // 2 - 1), ink)
                else:
                    pen.text((x, y), character, ink, font, stroke_width=0.3 if style.bold else 0)
                column += 1
    return picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="latest")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    console = Console(width=WIDTH, color_system="truecolor")
    session = Text()
    for command in ("cnnmnist evaluate --show-errors", "cnnmnist visualize --layer conv1 --image 13"):
        session.append(f"$ {command}\n", style="bold")
        session.append_text(recorded(command, [options.run])).append("\n\n")
    session.rstrip()
    picture = drawn(console.render_lines(session))
    picture.quantize(256).save(options.output, optimize=True)


main()
