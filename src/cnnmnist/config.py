"""What a recipe may say: every field has a type, bounds and a docstring, which is also the help of its option."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Activation = Literal["none", "relu", "sigmoid", "tanh"]
Precision = Literal["float32", "mixed_bfloat16"]
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"  # also safe as a file name and on a terminal


def _increasing(times: list[int]) -> list[int]:
    if times != sorted(set(times)):
        raise ValueError("iterations must increase")
    return times


Times = Annotated[list[Annotated[int, Field(ge=0)]], AfterValidator(_increasing)]


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
    """Kind of the 2x2 pooling with stride 2 and SAME padding, or none."""
    activation: Activation = "relu"
    """Activation function."""
    pooling_first: bool = True
    """Pool before the activation, as the tutorial does, so that there are fewer activations to compute."""


class ModelConfig(_Section):
    """The network; the defaults are the tutorial's."""

    convolutions: list[ConvLayer] = Field([ConvLayer(filters=16), ConvLayer(filters=36)], max_length=16)
    """Convolutional layers conv1, conv2, ... in order."""
    dense: list[Annotated[int, Field(ge=1, le=16_384)]] = Field([128], max_length=8)
    """Units of the dense layers fc1, fc2, ... before the logits."""
    dense_activation: Activation = "relu"
    """Activation function of the dense layers."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Fraction of each dense layer's outputs that is dropped in training."""
    output_activation: Activation = "none"
    """Activation function of the logits; the tutorial has none."""
    weight_stddev: float = Field(0.05, gt=0.0, le=10.0)
    """Standard deviation of the truncated normal distribution of the initial weights."""
    bias: float = Field(0.05, ge=-10.0, le=10.0)
    """Initial value of all biases."""


class TrainingConfig(_Section):
    """How the network is trained; the defaults are the tutorial's."""

    iterations: int = Field(10_000, ge=0, le=100_000_000)
    """Number of iterations (optimizer steps)."""
    batch_size: int = Field(64, ge=1, le=65_536)
    """Images per iteration, over all replicas together."""
    learning_rate: float = Field(1e-4, gt=0.0, le=100.0)
    """Learning rate of Adam; with one-cycle, its peak."""
    schedule: Literal["constant", "one-cycle"] = "constant"
    """Course of the learning rate: constant, or one-cycle, a linear warm-up and then a cosine down to zero."""
    warmup: float = Field(0.1, ge=0.0, le=1.0)
    """Fraction of the iterations in which one-cycle warms up."""
    beta_1: float = Field(0.9, ge=0.0, lt=1.0)
    """Adam's decay rate for the mean of the gradients."""
    beta_2: float = Field(0.999, ge=0.0, lt=1.0)
    """Adam's decay rate for the mean of the squared gradients."""
    epsilon: float = Field(1e-8, gt=0.0, le=1.0)
    """Small number that keeps Adam from dividing by zero; 1e-8 is the default of TensorFlow 1."""
    weight_decay: float = Field(0.0, ge=0.0, le=10.0)
    """Decoupled weight decay (AdamW) of weights, not of biases, per unit of learning rate."""
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the target probability that is spread evenly over all classes."""
    ema_decay: float = Field(0.0, ge=0.0, lt=1.0)
    """Decay per iteration of a moving average of the weights, which is evaluated and saved; 0 for no average."""
    include_validation: bool = False
    """Train on the validation split, too: 60,000 images of MNIST instead of 55,000."""
    temperature: float | None = Field(None, ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)
    """Temperature of the probabilities with include_validation, found without it; null for 1."""
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "float32"
    """Number format in which the layers compute; auto uses mixed_bfloat16 where the processor computes in it."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    """Seed of the initial weights, of the order of the images, of dropout and of the distortions."""
    evaluate_at: Times = Field([0, 1, 100, 1_000, 10_000], max_length=1_000)
    """Iterations after which the accuracy on the test split is measured, besides the last."""
    record_at: Times = Field([], max_length=200)
    """Iterations after which a snapshot of the filters and the hardest test images is kept."""


class AugmentationConfig(_Section):
    """Random distortion of each training image, drawn uniformly from -bound to +bound."""

    rotation: float = Field(0.0, ge=0.0, le=180.0)
    """Rotation in degrees, in either direction."""
    shift: float = Field(0.0, ge=0.0, le=32.0)
    """Shift in pixels, horizontally and vertically."""
    zoom: float = Field(0.0, ge=0.0, lt=1.0)
    """Change of width and height, as a fraction of them."""
    shear: float = Field(0.0, ge=0.0, le=2.0)
    """Shear in horizontal pixels per vertical pixel."""
    elastic: float = Field(0.0, ge=0.0, le=32.0)
    """Standard deviation in pixels of a smooth random displacement field (Simard et al., 2003)."""
    elastic_grid: int = Field(5, ge=2, le=32)
    """Control points of the displacement field per side; fewer make it smoother."""
    fade: float = Field(0.0, ge=0.0, le=1.0)
    """Last fraction of the iterations, over which all bounds shrink linearly to fade_to."""
    fade_to: float = Field(0.0, ge=0.0, le=1.0)
    """Fraction of all bounds that remains at the end of the fade."""

    @property
    def enabled(self) -> bool:
        """Whether any distortion is asked for."""
        return any((self.rotation, self.shift, self.zoom, self.shear, self.elastic))


class DrawnConfig(_Section):
    """Images that the program draws, and mixes into the training images of a data set of digits."""

    digits: int = Field(0, ge=0, le=200_000)
    """Number of drawn digits, in many styles: MNIST hardly has ones with flags and feet, and barred sevens."""
    others: int = Field(0, ge=0, le=200_000)
    """Number of drawn letters, signs, scribbles and pairs of digits; all classes are equally probable for them."""
    letters: int = Field(0, ge=0, le=200_000)
    """Number of printed letters, in several fonts; for them, too, all classes are equally probable."""
    parts: int = Field(0, ge=0, le=200_000)
    """Number of parts of rows of touching digits: some are one digit, and the rest are as ``others``."""
    coarse: int = Field(0, ge=0, le=200_000)
    """Number of digits, drawn ones and those of the data set, on few pixels, as in a small or blurred picture."""

    @property
    def without_class(self) -> bool:
        """Whether some of the images show no class."""
        return bool(self.others or self.letters or self.parts)


class Recipe(_Section):
    """Everything that decides the result of a training, except for the machine and the data."""

    name: str = Field("tutorial", pattern=NAME_PATTERN)
    """Name of the recipe in run names and tables."""
    dataset: str | None = Field(None, pattern=NAME_PATTERN)
    """Name of the data set; null means MNIST or, if it cannot be downloaded, the embedded digits."""
    model: ModelConfig = ModelConfig()
    """The layers of the network, and their initial weights."""
    training: TrainingConfig = TrainingConfig()
    """How the network is trained."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Random distortion of the training images."""
    drawn: DrawnConfig = DrawnConfig()
    """Drawn images besides the training images."""
