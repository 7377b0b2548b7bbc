"""What a recipe may say: every field has a type, bounds and a docstring, which is also the help of its option."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cnnmnist.errors import SelectionError

Activation = Literal["none", "relu", "sigmoid", "tanh"]
Precision = Literal["float32", "mixed_bfloat16"]
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"  # also safe as a file name and on a terminal


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
