"""The classic convolutional network for handwritten digits, as a command-line tool and as a library.

Importing this package is immediate: each name below brings its module with it when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnnmnist.config import Recipe, load_recipe
    from cnnmnist.data.loading import Dataset, Split, load_dataset
    from cnnmnist.errors import CnnMnistError
    from cnnmnist.evaluation import Report, evaluate
    from cnnmnist.interpretation import embed, gradient, last_activations, layer_outputs, maximize, occlusion
    from cnnmnist.model import build_model
    from cnnmnist.runs.metadata import Rung
    from cnnmnist.runs.store import Run, load_run
    from cnnmnist.training.loop import resume, train
    from cnnmnist.training.trainer import Progress
    from cnnmnist.visualization.architecture import draw_network
    from cnnmnist.visualization.charts import (
        LearningCurve,
        draw_confusion_matrix,
        draw_embedding,
        draw_learning_curves,
    )
    from cnnmnist.visualization.figures import draw_grid, save_figure
    from cnnmnist.visualization.grids import (
        ImageGrid,
        activation_grid,
        filter_grid,
        image_grid,
        maximization_grid,
        saliency_grid,
    )

__all__ = [
    "CnnMnistError",
    "Dataset",
    "ImageGrid",
    "LearningCurve",
    "Progress",
    "Recipe",
    "Report",
    "Run",
    "Rung",
    "Split",
    "activation_grid",
    "build_model",
    "draw_confusion_matrix",
    "draw_embedding",
    "draw_grid",
    "draw_learning_curves",
    "draw_network",
    "embed",
    "evaluate",
    "filter_grid",
    "gradient",
    "image_grid",
    "last_activations",
    "layer_outputs",
    "load_dataset",
    "load_recipe",
    "load_run",
    "maximization_grid",
    "maximize",
    "occlusion",
    "resume",
    "saliency_grid",
    "save_figure",
    "train",
]

_NAMES = {
    "visualization.charts": ("LearningCurve", "draw_confusion_matrix", "draw_embedding", "draw_learning_curves"),
    "config": ("Recipe", "load_recipe"),
    "data.loading": ("Dataset", "Split", "load_dataset"),
    "visualization.architecture": ("draw_network",),
    "errors": ("CnnMnistError",),
    "evaluation": ("Report", "evaluate"),
    "visualization.figures": ("draw_grid", "save_figure"),
    "visualization.grids": (
        *("ImageGrid", "activation_grid", "filter_grid", "image_grid"),
        *("maximization_grid", "saliency_grid"),
    ),
    "interpretation": ("embed", "gradient", "last_activations", "layer_outputs", "maximize", "occlusion"),
    "model": ("build_model",),
    "runs.metadata": ("Rung",),
    "runs.store": ("Run", "load_run"),
    "training.loop": ("resume", "train"),
    "training.trainer": ("Progress",),
}
_MODULES = {name: f"cnnmnist.{module}" for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
