"""What a recipe may say: every field typed, bounded and documented; anything else is refused by name."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cnnmnist.errors import RecipeError, SelectionError

Activation = Literal["none", "relu", "sigmoid", "tanh"]
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"  # also safe as a file name and on a terminal
MAX_RECIPE_BYTES = 65_536  # far above any real recipe, far below what hurts to parse


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ConvLayer(_Section):
    """One convolutional layer: convolution, then pooling and activation in either order."""

    filters: int = Field(ge=1, le=1024)
    """Number of filters."""
    filter_size: int = Field(5, ge=1, le=31)
    """Height and width of a filter in pixels."""
    stride: int = Field(1, ge=1, le=8)
    """Step of the convolution in pixels; padding is SAME."""
    pooling: Literal["max", "average", "none"] = "max"
    """2x2 pooling with stride 2 and SAME padding, or none."""
    activation: Activation = "relu"
    """Non-linearity of the layer."""
    pooling_first: bool = True
    """Pool before the activation, as the tutorial does: a quarter of the activations to compute."""


class ModelConfig(_Section):
    """The network; the defaults are the tutorial's."""

    convolutions: list[ConvLayer] = Field([ConvLayer(filters=16), ConvLayer(filters=36)], max_length=16)
    """Convolutional layers conv1, conv2, ... in order."""
    dense: list[Annotated[int, Field(ge=1, le=16_384)]] = Field([128], max_length=8)
    """Units of the dense layers fc1, fc2, ... before the logits."""
    dense_activation: Activation = "relu"
    """Non-linearity of the dense layers."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Fraction of each dense layer's outputs dropped while training."""
    output_activation: Activation = "none"
    """Non-linearity on the logits; the tutorial has none."""
    weight_stddev: float = Field(0.05, gt=0.0, le=10.0)
    """Standard deviation of the truncated normal that weights start from."""
    bias: float = Field(0.05, ge=-10.0, le=10.0)
    """Value that biases start from."""

    def input_channels(self, layer: str) -> int:
        """Input channels of the convolutional layer ``conv1``, ``conv2``, ...

        Raises:
            SelectionError: there is no such layer.
        """
        channels = [1, *(convolution.filters for convolution in self.convolutions[:-1])]
        names = [f"conv{number}" for number in range(1, len(self.convolutions) + 1)]
        if layer not in names:
            choice = f"choose one of {', '.join(names)}" if names else "the network has no convolutional layers"
            raise SelectionError(f"There is no layer {layer!r}: {choice}.")
        return channels[names.index(layer)]


class TrainingConfig(_Section):
    """How the network is trained; the defaults are the tutorial's."""

    iterations: int = Field(10_000, ge=0, le=100_000_000)
    """Optimizer steps."""
    batch_size: int = Field(64, ge=1, le=65_536)
    """Images per iteration, over all replicas together."""
    learning_rate: float = Field(1e-4, gt=0.0, le=100.0)
    """Adam's step size; with one-cycle, its peak."""
    schedule: Literal["constant", "one-cycle"] = "constant"
    """Learning rate over the iterations: constant, or a linear warm-up and then a cosine down to zero."""
    warmup: float = Field(0.1, ge=0.0, le=1.0)
    """Fraction of the iterations that one-cycle warms up for."""
    beta_1: float = Field(0.9, ge=0.0, lt=1.0)
    """Adam's decay of the mean of the gradients."""
    beta_2: float = Field(0.999, ge=0.0, lt=1.0)
    """Adam's decay of the mean of the squared gradients."""
    epsilon: float = Field(1e-8, gt=0.0, le=1.0)
    """Adam's guard against division by zero; the default is TensorFlow 1's, which the tutorial used."""
    weight_decay: float = Field(0.0, ge=0.0, le=10.0)
    """Decoupled weight decay (AdamW) of weights, not of biases, per unit of learning rate."""
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    """Probability mass that the target spreads evenly over all classes."""
    ema_decay: float = Field(0.0, ge=0.0, lt=1.0)
    """Decay per iteration of the moving average of the weights that is evaluated and kept; 0 for none."""
    include_validation: bool = False
    """Train on the validation split too (60,000 images of MNIST instead of 55,000)."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """Arithmetic of the layers; auto takes mixed_bfloat16 where the processor runs it natively."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of the initial weights, the order of the images, dropout and augmentation."""
    evaluate_at: list[Annotated[int, Field(ge=0)]] = Field([0, 1, 100, 1_000, 10_000], max_length=1_000)
    """Iterations after which the test split is evaluated; the last iteration always is."""
    record_at: list[Annotated[int, Field(ge=0)]] = Field([], max_length=200)
    """Iterations after which the filters and the hardest test images are recorded; none by default."""


class AugmentationConfig(_Section):
    """Random distortion of each training image, drawn uniformly from plus or minus each bound."""

    rotation: float = Field(0.0, ge=0.0, le=180.0)
    """Degrees."""
    shift: float = Field(0.0, ge=0.0, le=32.0)
    """Pixels, horizontally and vertically."""
    zoom: float = Field(0.0, ge=0.0, lt=1.0)
    """Fraction of the size, horizontally and vertically."""
    shear: float = Field(0.0, ge=0.0, le=2.0)
    """Horizontal pixels per vertical pixel."""
    elastic: float = Field(0.0, ge=0.0, le=32.0)
    """Standard deviation in pixels of a smooth random displacement field (Simard et al., 2003)."""
    elastic_grid: int = Field(5, ge=2, le=32)
    """Control points of the displacement field per side; fewer make it smoother."""
    fade: float = Field(0.0, ge=0.0, le=1.0)
    """Last fraction of the iterations over which all bounds shrink linearly, so that the end is like the test."""
    fade_to: float = Field(0.0, ge=0.0, le=1.0)
    """Fraction of the bounds that is left at the end."""

    @property
    def enabled(self) -> bool:
        """Whether any distortion is asked for."""
        return any((self.rotation, self.shift, self.zoom, self.shear, self.elastic))


class Recipe(_Section):
    """All that decides a training's result, apart from the machine and the digits themselves."""

    name: str = Field("tutorial", pattern=NAME_PATTERN)
    """What the recipe is called in run names and tables."""
    dataset: str | None = Field(None, pattern=NAME_PATTERN)
    """Name of the data set; none means MNIST or, where it cannot be had, the embedded digits."""
    model: ModelConfig = ModelConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """The training."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Distortion of the training images."""

    @model_validator(mode="after")
    def _iterations_increase(self) -> "Recipe":
        for field in ("evaluate_at", "record_at"):
            times = getattr(self.training, field)
            if times != sorted(set(times)):
                raise ValueError(f"training.{field} must be a list of increasing iterations")
        return self


def load_recipe(name_or_file: str | Path = "tutorial", overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe and override some of its fields.

    Args:
        name_or_file: a shipped recipe's name, such as ``tutorial``, or the path of a YAML file.
        overrides: values by dotted field name, such as ``{"training.learning_rate": 3e-4}``.

    Raises:
        RecipeError: no such recipe, not valid YAML, or a field that is unknown or not valid.
    """
    path = _find(str(name_or_file))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecipeError(f"Cannot read the recipe {path}: {error.strerror}.") from error
    values = parse_yaml(content, str(path))
    if not isinstance(values, dict):
        raise RecipeError(f"{path} is no recipe: it must be a mapping of fields to values.")
    values.setdefault("name", path.stem)
    for field, value in (overrides or {}).items():
        _set_field(values, field, value)
    return validate_recipe(values, str(path))


def validate_recipe(values: Mapping[str, Any], where: str) -> Recipe:
    """Check plain values against the fields of a recipe; ``where`` names their origin in an error.

    Raises:
        RecipeError: naming the first field that is unknown or not valid.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{where}: {_explain(error.errors()[0])}") from error


def recipe_names() -> list[str]:
    """Names of the recipes shipped with the program."""
    folder = _configs()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def recipe_fields() -> list[str]:
    """Dotted names of every field that an override may set, such as ``training.batch_size``."""
    return list(_fields(Recipe))


def parse_yaml(content: bytes | str, where: str) -> Any:
    """Parse YAML without aliases, duplicate keys or any type but plain ones.

    Raises:
        RecipeError: not valid, or larger than any recipe needs to be.
    """
    if len(content) > MAX_RECIPE_BYTES:
        raise RecipeError(f"{where} has {len(content):,} bytes: a recipe has at most {MAX_RECIPE_BYTES:,}.")
    try:
        return yaml.load(content, Loader=_RecipeLoader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise RecipeError(f"{where}{line} is not valid YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not UTF-8 text"
        raise RecipeError(f"{where} is not valid YAML: {reason}.") from error


class _RecipeLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases (they can expand without bounds) and duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases are not allowed in a recipe", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"the field {key.value!r} occurs twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot in a float, so that PyYAML reads 1e-4 as text; YAML 1.2 does not.
_RecipeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d[\d_]*(?:\.\d*)?[eE][-+]?\d+\Z"), list("-+0123456789")
)


def _configs() -> Path:
    installed = Path(__file__).parent / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "configs"


def _find(name_or_file: str) -> Path:
    if name_or_file in recipe_names():
        return _configs() / f"{name_or_file}.yaml"
    path = Path(name_or_file)
    if path.is_file():
        return path
    hint = nearest(name_or_file, recipe_names())
    known = ", ".join(recipe_names())
    raise RecipeError(f"There is no recipe or file {name_or_file!r}{hint} (shipped recipes: {known}).")


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint such as ``: did you mean 'batch_size'?`` or, with nothing near, an empty string."""
    close = difflib.get_close_matches(name, list(valid), 1)
    return f": did you mean {close[0]!r}?" if close else ""


def _fields(section: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _fields(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def _set_field(values: dict[str, Any], field: str, value: Any) -> None:
    if field not in recipe_fields():
        short = {name.rpartition(".")[2]: name for name in recipe_fields()}
        hint = f": did you mean {short[field]!r}?" if field in short else nearest(field, recipe_fields())
        raise RecipeError(f"A recipe has no field {field!r}{hint or '.'}")
    *sections, last = field.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"{section!r} must be a mapping of fields to values.")
        values = inner
    values[last] = value


def _explain(error: Any) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section: Any = Recipe
        for part in error["loc"][:-1]:
            if isinstance(part, str):
                section = section.model_fields[part].annotation
                section = ConvLayer if section == list[ConvLayer] else section
        return f"unknown field {path!r}{nearest(str(error['loc'][-1]), section.model_fields) or '.'}"
    message = error["msg"].removeprefix("Value error, ")
    if not path:
        return f"{message}."
    return f"{path}: {message[0].lower()}{message[1:]}, not {_short(error['input'])}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
