"""Interpretation: the outputs of layers, and which pixels excite a filter or decide for a class.

All functions take a float32 network of :func:`cnnmnist.model.build_model`, such as
:meth:`cnnmnist.runs.run.Run.load_model` returns.
"""

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.data.pipeline import scale
from cnnmnist.prediction import predict_logits
from cnnmnist.runtime import keras, tf

STEPS, STEP = 150, 0.15  # of gradient ascent
SMOOTHNESS = 0.004  # price of a difference between neighbouring pixels, as a share of what a filter can gain
PERPLEXITY = 30  # about how many neighbours of each image t-SNE keeps together
DESCENT = 500  # steps of it
COMPONENTS = 50  # principal ones that it is given
LARGEST_EMBEDDING = 10_000  # images; t-SNE takes about half a minute of processor time for them


def layer_outputs(model: keras.Model, layer: str, images: np.ndarray) -> np.ndarray:
    """Outputs of a convolutional layer, after its pooling and its activation.

    Args:
        model: the network.
        layer: ``conv1``, ``conv2``, ...
        images: uint8 (n, height, width).

    Returns:
        float32 (n, height, width, filters).

    Raises:
        ValueError: the network has no such layer.
    """
    outputs = keras.Model(model.inputs[0], layer_output(model, layer))
    return np.asarray(outputs(scale(tf.constant(images)), training=False))


def layer_output(model: keras.Model, layer: str) -> keras.KerasTensor:
    """The symbolic output of a convolutional layer, after its pooling and its activation.

    Raises:
        ValueError: the network has no such layer.
    """
    model.get_layer(layer)
    return [each for each in model.layers if each.name.split("_")[0] == layer][-1].output


def last_activations(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The inputs of the logits: the activations of the last dense layer or, without one, all features.

    Args:
        model: the network.
        images: uint8 (n, height, width).

    Returns:
        float32 (n, units).
    """
    return predict_logits(keras.Model(model.inputs[0], model.get_layer("logits").input), images)


def gradient(model: keras.Model, image: np.ndarray, target: int) -> np.ndarray:
    """How much a class's logit changes for each pixel's ink, to first order.

    The saliency map of Simonyan, Vedaldi and Zisserman, 2013, https://arxiv.org/abs/1312.6034, with its sign.

    Args:
        model: the network.
        image: uint8 (height, width).
        target: the class.

    Returns:
        float32 (height, width), logits per pixel value from 0 to 1.
    """
    pixels = scale(tf.constant(image[np.newaxis]))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logit = model(pixels, training=False)[0, target]
    return np.asarray(tape.gradient(logit, pixels))[0, ..., 0]


def occlusion(model: keras.Model, image: np.ndarray, target: int) -> np.ndarray:
    """How much a class's logit drops when a square around each pixel is hidden.

    Zeiler and Fergus, 2014, https://arxiv.org/abs/1311.2901, section 4.2, move a grey square over a photograph and
    show the probability. Here the square has the value of the image's edge, which is background, and the logit is
    shown, because the probability of what is recognised well stays near 1 wherever the square is.

    Args:
        model: the network.
        image: uint8 (height, width).
        target: the class.

    Returns:
        float32 (height, width): at each pixel, the logit of the image less that of the image on which a square of
        :func:`occluding_side` about this pixel is hidden, cut off at the edges.
    """
    reach = occluding_side(image.shape) // 2
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    hidden = np.repeat(image[np.newaxis], image.size, axis=0)
    for copy, (row, column) in zip(hidden, np.ndindex(image.shape), strict=True):
        rows, columns = (slice(max(0, each - reach), each + reach + 1) for each in (row, column))
        copy[rows, columns] = np.median(edge)
    logits = predict_logits(model, np.concatenate([image[np.newaxis], hidden]))[:, target]
    drops: np.ndarray = (logits[0] - logits[1:]).reshape(image.shape)
    return drops


def occluding_side(image_shape: tuple[int, ...]) -> int:
    """Pixels of the occluding square's side: an odd number, about a sixth of the image's; 5 of 28."""
    return 2 * round((min(image_shape) / 6 - 1) / 2) + 1


def maximize(model: keras.Model, config: ModelConfig, layer: str, filters: int) -> np.ndarray:
    """The inputs that excite filters most, by gradient ascent on the pixels from an even grey.

    Erhan, Bengio, Courville and Vincent, 2009, Visualizing Higher-Layer Features of a Deep Network. Maximised is
    the response of a filter, before pooling and activation, at the middle of its layer; so only the pixels that it
    sees there matter, and only they are returned. Differences between neighbouring pixels have a price (Mahendran
    and Vedaldi, 2015, https://arxiv.org/abs/1412.0035): pixels that hardly matter stay grey instead of becoming
    noise. The price is a share of what the filter gains without one, so that weak filters are drawn as clearly as
    strong ones.

    Args:
        model: the network.
        config: what it was built from.
        layer: ``conv1``, ``conv2``, ...
        filters: how many of its filters, from the first.

    Returns:
        float32 (filters, height, width) in [0, 1]: the pixels of :func:`receptive_field`; always the same ones.

    Raises:
        ValueError: the network has no such layer.
    """
    output = model.get_layer(layer).output
    responses = keras.Model(model.inputs[0], output)
    height, width = model.input_shape[1:3]
    rows, columns = receptive_field(config, (height, width), layer)
    around = [[0, 0], [rows.start, height - rows.stop], [columns.start, width - columns.stop], [0, 0]]
    middle = output.shape[1] // 2, output.shape[2] // 2
    shape = (filters, rows.stop - rows.start, columns.stop - columns.start, 1)
    values = tf.Variable(tf.zeros(shape))  # pixels before the sigmoid that keeps them in [0, 1]

    def response(pixels: tf.Tensor) -> tf.Tensor:
        return tf.linalg.diag_part(responses(tf.pad(pixels, around))[:, middle[0], middle[1], :filters])

    def ascend(price: tf.Tensor | float) -> tf.Tensor:
        """The responses that are reached from grey."""
        optimizer = keras.optimizers.Adam(STEP)
        values.assign(tf.zeros(shape))

        def step() -> None:
            with tf.GradientTape() as tape:
                pixels = tf.sigmoid(values)
                loss = price * tf.image.total_variation(pixels) - response(pixels)
            optimizer.apply_gradients([(tape.gradient(loss, values), values)])

        compiled = tf.function(step)
        for _ in range(STEPS):
            compiled()
        return response(tf.sigmoid(values))

    gain = ascend(0.0) - response(tf.fill(shape, 0.5))
    ascend(SMOOTHNESS * gain)
    return np.asarray(tf.sigmoid(values))[..., 0]


def receptive_field(config: ModelConfig, image_shape: tuple[int, int], layer: str) -> tuple[slice, slice]:
    """Rows and columns of the image that the middle of a convolutional layer sees, before its pooling.

    Args:
        config: the network.
        image_shape: height and width in pixels.
        layer: ``conv1``, ``conv2``, ...
    """
    layers = config.convolutions[: int(layer.removeprefix("conv"))]

    def seen(size: int) -> slice:
        steps = []  # from the image on: what each convolution or pooling reads, how far apart, of how many
        for number, convolution in enumerate(layers, 1):
            steps.append((convolution.filter_size, convolution.stride, size))
            size = -(-size // convolution.stride)
            if convolution.pooling != "none" and number < len(layers):
                steps.append((2, 2, size))
                size = -(-size // 2)
        first = last = size // 2
        for reads, stride, size in reversed(steps):
            padding = max(0, (-(-size // stride) - 1) * stride + reads - size) // 2  # SAME, before the first
            first = max(0, first * stride - padding)
            last = min(size - 1, last * stride - padding + reads - 1)
        return slice(first, last + 1)

    height, width = image_shape
    return seen(height), seen(width)


def embed(activations: np.ndarray) -> np.ndarray:
    """Points in the plane, such that images with similar activations are near each other.

    t-SNE (van der Maaten and Hinton, 2008, https://jmlr.org/papers/v9/vandermaaten08a.html) of the first principal
    components, which are also where it starts. The same activations give the same points on the same machine.

    Args:
        activations: float (n, units), n at least 2.

    Returns:
        float32 (n, 2).
    """
    # scikit-learn takes a second to import, which no other function here needs.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(activations)
    with np.errstate(invalid="ignore"):  # activations that are all equal have no variance to be shared out
        components = PCA(min(COMPONENTS, *activations.shape), random_state=0).fit_transform(activations)
    start = np.zeros((count, 2), np.float32)
    start[:, : components.shape[1]] = components[:, :2]
    start *= 1e-4 / (start.std() or 1.0)
    # A coarser approximation than the default one: a third faster, and no worse in t-SNE's own measure.
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (count - 1) / 3), init=start, random_state=0, max_iter=DESCENT, angle=0.8
    )
    return np.asarray(tsne.fit_transform(components), np.float32)
