"""Matplotlib's figure, shown by notebooks although it belongs to no window and pyplot does not know it."""

import io

import matplotlib.figure

SCREEN_DPI = 96  # that of a notebook's page


class Figure(matplotlib.figure.Figure):
    """A figure that is displayed where it is a cell's last value."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """IPython's protocol: a PNG file, and how wide it is shown, so that text has its size."""
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue(), {"width": round(SCREEN_DPI * self.get_figwidth())}
