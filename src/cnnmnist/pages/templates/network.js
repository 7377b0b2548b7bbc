"use strict";
// The network: how pixels become logits, layer by layer. cnnmnist/network.py is the same in NumPy.
// The outputs of a layer are one Float32Array, (height, width, channels) or (units), the last index the fastest.

/** Numbers of 16 bits (IEEE 754 binary16) or 32 bits, low byte first, from base64. */
function decodeWeights(base64, type) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  if (type === "float32") return new Float32Array(bytes.buffer);
  return Float32Array.from(new Uint16Array(bytes.buffer), (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    const size = exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14;
    return bits >> 15 ? -size : size;
  });
}

/** The kernel and the bias of each layer that has them, by the layer's name. */
function splitWeights(layers, numbers) {
  const weights = {};
  let start = 0;
  const take = (count) => numbers.subarray(start, (start += count));
  for (const { name, kernel_shape: shape } of layers) {
    if (shape.length) weights[name] = { kernel: take(product(shape)), bias: take(shape.at(-1)) };
  }
  return weights;
}

const product = (numbers) => numbers.reduce((one, other) => one * other, 1);

/** Read an image: pixels are a Uint8Array, height x width, where ink is 255 in a network of digits. */
function readImage(network, pixels) {
  const [height, width] = network.image_shape;
  if (!(pixels instanceof Uint8Array) || pixels.length !== height * width) {
    throw new RangeError(`An image is a Uint8Array of ${height} x ${width} pixels.`);
  }
  let values = Float32Array.from(pixels, (pixel) => pixel / 255);
  let shape = [height, width, 1];
  const layers = {};
  for (const layer of network.layers) {
    values = layers[layer.name] = apply(layer, values, shape, network.weights[layer.name]);
    shape = layer.output_shape;
  }
  const logits = values;
  if (!logits.every(Number.isFinite)) throw new RangeError("The network computes no finite numbers.");
  return { logits, probabilities: softmax(logits, network.temperature), layers };
}

function apply(layer, values, shape, weights) {
  switch (layer.kind) {
    case "Conv2D":
      return convolve(values, shape, weights, layer);
    case "MaxPooling2D":
      return pool(values, shape, layer.output_shape, (four) => Math.max(...four));
    case "AveragePooling2D":
      return pool(values, shape, layer.output_shape, (four) => (four[0] + four[1] + four[2] + four[3]) / 4);
    case "Dense":
      return connect(values, weights);
    case "Activation":
      return values.map(ACTIVATIONS[layer.function]);
    default: // Flatten changes no order, and Dropout drops in training only.
      return values;
  }
}

const ACTIVATIONS = {
  relu: (value) => Math.max(value, 0),
  sigmoid: (value) => 1 / (1 + Math.exp(-value)),
  tanh: Math.tanh,
};

/** Each output is the sum of the products of a filter and the window below it; around the image are zeros. */
function convolve(values, [height, width, channels], { kernel, bias }, { output_shape: [rows, columns, filters], kernel_shape: [size], stride }) {
  const outputs = new Float32Array(rows * columns * filters);
  const sums = new Float64Array(filters);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const top = windowStart(row, height, size, stride);
      const left = windowStart(column, width, size, stride);
      sums.set(bias);
      for (let y = Math.max(0, -top); y < Math.min(size, height - top); y++) {
        for (let x = Math.max(0, -left); x < Math.min(size, width - left); x++) {
          for (let channel = 0; channel < channels; channel++) {
            const value = values[((top + y) * width + left + x) * channels + channel];
            if (value === 0) continue; // as most are, after a ReLU
            const first = ((y * size + x) * channels + channel) * filters;
            for (let filter = 0; filter < filters; filter++) sums[filter] += value * kernel[first + filter];
          }
        }
      }
      outputs.set(sums, (row * columns + column) * filters);
    }
  }
  return outputs;
}

/** The first row or column of a window. SAME padding: if one side gets more zeros, it is the end. */
function windowStart(index, side, size, stride) {
  const zeros = Math.max(0, (Math.ceil(side / stride) - 1) * stride + size - side);
  return index * stride - Math.floor(zeros / 2);
}

/** One value for each square of 2x2; at an odd edge, where a square is cut off, its rest counts twice. */
function pool(values, shape, [rows, columns, channels], combine) {
  const outputs = new Float32Array(rows * columns * channels);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let channel = 0; channel < channels; channel++) {
        const four = quarters(row, column, channel, shape).map((index) => values[index]);
        outputs[(row * columns + column) * channels + channel] = combine(four);
      }
    }
  }
  return outputs;
}

/** Where the four values of a square are in the input of a pooling layer. */
function quarters(row, column, channel, [height, width, channels]) {
  const [top, left] = [2 * row, 2 * column];
  const [bottom, right] = [Math.min(top + 1, height - 1), Math.min(left + 1, width - 1)];
  return [[top, left], [top, right], [bottom, left], [bottom, right]].map(([y, x]) => (y * width + x) * channels + channel);
}

/** A dense layer: each output is a weighted sum of all inputs. */
function connect(values, { kernel, bias }) {
  const sums = Float64Array.from(bias);
  const units = sums.length;
  for (let input = 0; input < values.length; input++) {
    const value = values[input];
    if (value === 0) continue;
    for (let unit = 0; unit < units; unit++) sums[unit] += value * kernel[input * units + unit];
  }
  return Float32Array.from(sums);
}

/** Probabilities of the classes: a calibrated network divides its logits by its temperature. */
function softmax(logits, temperature) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / sum);
}
