"""Interpretation: last activations, pixels that excite a filter or decide for a class, and embeddings.

Two functions need gradients, and so TensorFlow: they take the network of :meth:`cnnmnist.runs.run.Run.load_model`.
The others take the network of :meth:`cnnmnist.runs.run.Run.load_network`.
"""

from typing import TYPE_CHECKING

import numpy as np

from cnnmnist.config import ModelConfig
from cnnmnist.layers import list_layers, same_padding
from cnnmnist.network import Network, scale
from cnnmnist.prediction import layer_outputs, predict_logits

if TYPE_CHECKING:
    from cnnmnist.runtime import keras, tf

ASCENT_STEPS, ASCENT_RATE = 150, 0.15  # of Adam in the gradient ascent of maximize()
SMOOTHNESS = 0.004  # weight of the total variation, as a fraction of the response that a filter can gain
PERPLEXITY = 30  # t-SNE's effective number of neighbours of an image; scikit-learn's default
TSNE_STEPS = 500
TSNE_COMPONENTS = 50  # principal components that t-SNE gets, as the documentation of scikit-learn suggests
LARGEST_EMBEDDING = 10_000  # images; t-SNE takes about half a minute of processor time for them


def last_activations(network: Network, images: np.ndarray) -> np.ndarray:
    """Compute the inputs of the logits: the activations of the last dense layer or, without one, all features.

    Args:
        network: the network.
        images: uint8 (n, height, width).

    Returns:
        float32 (n, units).
    """
    groups = dict.fromkeys(layer.group for layer in network.layers)
    return layer_outputs(network, list(groups)[-2], images)


def gradient(model: "keras.Model", image: np.ndarray, target: int) -> np.ndarray:
    """Compute the gradient of a class's logit with respect to the pixels.

    The saliency map of Simonyan, Vedaldi and Zisserman, 2013, https://arxiv.org/abs/1312.6034, with its sign.

    Args:
        model: the network.
        image: uint8 (height, width).
        target: the class.

    Returns:
        float32 (height, width), in logits per pixel value, where pixel values go from 0 to 1.
    """
    from cnnmnist.runtime import tf

    pixels = tf.constant(scale(image[np.newaxis]))
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logit = model(pixels, training=False)[0, target]
    return np.asarray(tape.gradient(logit, pixels))[0, ..., 0]


def occlusion(network: Network, image: np.ndarray, target: int) -> np.ndarray:
    """Measure how much a class's logit drops when a square around each pixel is hidden.

    Zeiler and Fergus, 2014, https://arxiv.org/abs/1311.2901, section 4.2, hide squares of photographs with grey
    and show the probability. This function hides squares with the median along the image's edge, which is
    background. It shows the logit, because the probability of a clear image stays near 1 wherever the square is.

    Args:
        network: the network.
        image: uint8 (height, width).
        target: the class.

    Returns:
        float32 (height, width): for each pixel, the logit of the image minus the logit after hiding a square of
        :func:`occluding_side` around the pixel. The edge of the image cuts the square off.
    """
    reach = occluding_side(image.shape) // 2
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    hidden = np.repeat(image[np.newaxis], image.size, axis=0)
    for copy, (row, column) in zip(hidden, np.ndindex(image.shape), strict=True):
        rows, columns = (slice(max(0, each - reach), each + reach + 1) for each in (row, column))
        copy[rows, columns] = np.median(edge)
    logits = predict_logits(network, np.concatenate([image[np.newaxis], hidden]))[:, target]
    drops: np.ndarray = (logits[0] - logits[1:]).reshape(image.shape)
    return drops


def occluding_side(image_shape: tuple[int, ...]) -> int:
    """Side of the occluding square in pixels: odd, and about a sixth of the image's shorter side (5 for 28)."""
    return 2 * round((min(image_shape) / 6 - 1) / 2) + 1


def maximize(model: "keras.Model", config: ModelConfig, layer: str, filters: int) -> np.ndarray:
    """Compute the inputs that excite filters most, by gradient ascent on the pixels of a grey image.

    Activation maximization: Erhan, Bengio, Courville and Vincent, 2009, Visualizing Higher-Layer Features of a
    Deep Network. The ascent maximises the response of each filter in the middle of the layer, before pooling and
    activation. Only the pixels of :func:`receptive_field` change this response, and only they are returned.

    The total variation of the pixels is a penalty (Mahendran and Vedaldi, 2015, https://arxiv.org/abs/1412.0035):
    pixels that hardly matter stay grey instead of becoming noise. The penalty is in proportion to the response
    that the filter gains without it, so that weak filters look as clear as strong ones.

    Args:
        model: the network.
        config: the layers of the network.
        layer: ``conv1``, ``conv2``, ...
        filters: number of filters, from the first.

    Returns:
        float32 (filters, height, width) in [0, 1]; the same arguments give the same pixels.

    Raises:
        ValueError: the network has no such layer.
    """
    from cnnmnist.runtime import keras, tf

    output = model.get_layer(layer).output
    responses = keras.Model(model.inputs[0], output)
    height, width = model.input_shape[1:3]
    rows, columns = receptive_field(config, (height, width), layer)
    around = [[0, 0], [rows.start, height - rows.stop], [columns.start, width - columns.stop], [0, 0]]
    middle = output.shape[1] // 2, output.shape[2] // 2
    shape = (filters, rows.stop - rows.start, columns.stop - columns.start, 1)
    values = tf.Variable(tf.zeros(shape))  # pixels before the sigmoid that keeps them in [0, 1]

    def response(pixels: "tf.Tensor") -> "tf.Tensor":
        return tf.linalg.diag_part(responses(tf.pad(pixels, around))[:, middle[0], middle[1], :filters])

    def ascend(penalty: "tf.Tensor | float") -> "tf.Tensor":
        """Start from grey, and return the responses at the end."""
        optimizer = keras.optimizers.Adam(ASCENT_RATE)
        values.assign(tf.zeros(shape))

        def step() -> None:
            with tf.GradientTape() as tape:
                pixels = tf.sigmoid(values)
                loss = penalty * tf.image.total_variation(pixels) - response(pixels)
            optimizer.apply_gradients([(tape.gradient(loss, values), values)])

        compiled = tf.function(step)
        for _ in range(ASCENT_STEPS):
            compiled()
        return response(tf.sigmoid(values))

    gain = ascend(0.0) - response(tf.fill(shape, 0.5))
    ascend(SMOOTHNESS * gain)
    return np.asarray(tf.sigmoid(values))[..., 0]


def receptive_field(config: ModelConfig, image_shape: tuple[int, int], layer: str) -> tuple[slice, slice]:
    """Find the rows and columns of the image that the middle of a convolutional layer sees, before its pooling.

    Args:
        config: the layers of the network.
        image_shape: height and width in pixels.
        layer: ``conv1``, ``conv2``, ...
    """
    layers = list_layers(config, image_shape)
    seen = layers[: [each.name for each in layers].index(layer) + 1]

    def visible(axis: int) -> slice:
        first = last = seen[-1].output_shape[axis] // 2
        sizes = [image_shape[axis], *(each.output_shape[axis] for each in seen)]
        for each, size in reversed(list(zip(seen, sizes, strict=False))):
            padding, _ = same_padding(size, each.window, each.stride)
            first = max(0, first * each.stride - padding)
            last = min(size - 1, last * each.stride - padding + each.window - 1)
        return slice(first, last + 1)

    return visible(0), visible(1)


def embed(activations: np.ndarray) -> np.ndarray:
    """Place images in the plane, so that images with similar activations are near each other.

    t-SNE (van der Maaten and Hinton, 2008, https://jmlr.org/papers/v9/vandermaaten08a.html) of the first principal
    components. It starts from the first two. The same activations give the same points on the same machine.

    Args:
        activations: float (n, units), n at least 2.

    Returns:
        float32 (n, 2).
    """
    # scikit-learn takes a second to import, and no other function needs it.
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(activations)
    with np.errstate(invalid="ignore"):  # if all activations are equal, PCA divides by their variance of 0
        components = PCA(min(TSNE_COMPONENTS, *activations.shape), random_state=0).fit_transform(activations)
    start = np.zeros((count, 2), np.float32)
    start[:, : components.shape[1]] = components[:, :2]
    start *= 1e-4 / (start.std() or 1.0)
    perplexity = min(PERPLEXITY, (count - 1) / 3)
    # angle=0.8 approximates more coarsely than the default: a third faster, and no worse in t-SNE's own measure.
    tsne = TSNE(perplexity=perplexity, init=start, random_state=0, max_iter=TSNE_STEPS, angle=0.8)
    return np.asarray(tsne.fit_transform(components), np.float32)
