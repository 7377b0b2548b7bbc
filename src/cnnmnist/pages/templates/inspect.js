"use strict";
// "How is this number made?": the steps from the input of a layer to one value of its output.

const MOST_PARTS = 10; // of a weighted sum; the others are one line

const number = (value) => (Math.abs(value) >= 1e-3 || value === 0 ? value.toFixed(3) : value.toExponential(1));
const FUNCTIONS = { relu: "ReLU, the larger of it and 0", sigmoid: "Sigmoid", tanh: "Hyperbolic tangent" };

/** The layers of a group such as conv1, in order, with the shapes and values of their inputs. */
function layersOf(group, reading, pixels) {
  const [height, width] = network.image_shape;
  let shape = [height, width, 1];
  let values = Float32Array.from(pixels, (pixel) => pixel / 255);
  const found = [];
  for (const layer of network.layers) {
    const outputs = reading.layers[layer.name];
    if (layer.name.split("_")[0] === group) found.push({ ...layer, shape, inputs: values, outputs });
    [shape, values] = [layer.output_shape, outputs];
  }
  return found;
}

/** What makes one value: sentences, and its weighted sum as {sum, bias, parts: [{input, weight, product, ...}]}. */
function explain(group, { map, row, column }, reading, pixels) {
  const sentences = [];
  let cell = { map, row, column };
  let sum = null;
  for (const layer of layersOf(group, reading, pixels).reverse()) {
    const at = ({ map, row, column }, [, width, channels]) => (row * width + column) * channels + map;
    const isImage = layer.output_shape.length === 3;
    const output = layer.outputs[isImage ? at(cell, layer.output_shape) : map];
    if (layer.kind === "Activation") {
      const input = layer.inputs[isImage ? at(cell, layer.shape) : map];
      sentences.unshift(`${FUNCTIONS[layer.function]}: ${number(input)} becomes ${number(output)}.`);
    } else if (layer.kind.endsWith("Pooling2D")) {
      const four = quarters(cell.row, cell.column, map, layer.shape);
      const values = four.map((index) => layer.inputs[index]);
      const name = layer.kind === "MaxPooling2D" ? "The largest" : "The mean";
      sentences.unshift(`${name} of four: ${values.map(number).join(", ")}: ${number(output)}.`);
      const cellIndex = Math.floor(four[values.indexOf(Math.max(...values))] / layer.shape[2]);
      cell = { map, row: Math.floor(cellIndex / layer.shape[1]), column: cellIndex % layer.shape[1] };
    } else if (layer.kind === "Conv2D" || layer.kind === "Dense") {
      sum = isImage ? windowOf(layer, cell) : inputsOf(layer, map);
      const products = sum.parts.reduce((total, part) => total + part.product, 0);
      sentences.unshift(`The sum of ${sum.parts.length.toLocaleString("en")} products, ${number(products)}, and the bias, ${number(sum.bias)}: ${number(output)}.`);
      Object.assign(sum, { products, output });
    }
  }
  return { sentences, sum };
}

/** The parts of a convolution, channel by channel; outside of the input, values are 0. */
function windowOf({ name, shape: [height, width, channels], inputs, kernel_shape: [size, , , filters], stride }, { map, row, column }) {
  const { kernel, bias } = network.weights[name];
  const [top, left] = [windowStart(row, height, size, stride), windowStart(column, width, size, stride)];
  const parts = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const inside = top + y >= 0 && top + y < height && left + x >= 0 && left + x < width;
        const input = inside ? inputs[((top + y) * width + left + x) * channels + channel] : 0;
        const weight = kernel[((y * size + x) * channels + channel) * filters + map];
        parts.push({ channel, input, weight, product: input * weight });
      }
    }
  }
  return { parts, size, channels, top, left, bias: bias[map] };
}

/** The parts of a value of a dense layer, with the names of its inputs. */
function inputsOf({ name, inputs, kernel_shape: [, units] }, unit) {
  const { kernel, bias } = network.weights[name];
  const before = network.layers[network.layers.findIndex((layer) => layer.name === name) - 1];
  const [, width, channels] = before.name === "flatten" ? flattened() : [];
  const nameOf = (index) => {
    if (!channels) return `unit ${index} of ${before.name.split("_")[0]}`;
    const cell = Math.floor(index / channels);
    return `map ${index % channels}, row ${Math.floor(cell / width)}, column ${cell % width}`;
  };
  const parts = Array.from(inputs, (input, index) => {
    const weight = kernel[index * units + unit];
    return { name: nameOf(index), input, weight, product: input * weight };
  });
  return { parts, bias: bias[unit] };
}

/** The shape that the flatten layer makes flat. */
function flattened() {
  const index = network.layers.findIndex((layer) => layer.name === "flatten");
  return index ? network.layers[index - 1].output_shape : [...network.image_shape, 1];
}

// The section of the page

const look = { layer: null, cell: null, pinned: false, channel: null };

function lookAt(layer, cell, pinned = look.pinned) {
  if (look.layer !== layer || look.cell?.map !== cell.map) look.channel = null;
  Object.assign(look, { layer, cell, pinned });
  showHow();
}

/** The name of a cell, for people. */
function nameOf(layer, { map, row, column }) {
  if (layer.name === "logits") return `the logit of “${network.classes[map]}”`;
  return layer.height ? `${layer.name}, map ${map}, row ${row}, column ${column}` : `${layer.name}, unit ${map}`;
}

function showHow() {
  const digit = answer?.digits?.[chosen];
  for (const layer of shownLayers) layer.cursor.hidden = layer !== look.layer || !digit;
  by("how-steps").replaceChildren();
  by("how-parts").replaceChildren();
  if (!digit || !look.layer) {
    by("how-about").textContent = digit
      ? "Point at a value of a layer, or choose a layer with Tab and move with the arrow keys. A click keeps it."
      : "Draw first: then point at a value of a layer, and this is how it was made.";
    return;
  }
  const { layer, cell } = look;
  const [left, top, side] = layer.tiles.boxOf(cell);
  Object.assign(layer.cursor.style, { left: `${left}px`, top: `${top}px`, width: `${side}px`, height: `${side}px` });
  layer.cursor.classList.toggle("pinned", look.pinned);
  const { sentences, sum } = explain(layer.name, cell, digit.reading, digit.pixels);
  by("how-about").textContent = nameOf(layer, cell);
  if (sum.size) showWindow(layer, sum);
  else showParts(sum);
  if (layer.name === "logits") {
    const share = percent(digit.reading.probabilities[cell.map]);
    sentences.push(`The softmax of all logits makes it a probability of ${share}.`);
  }
  by("how-steps").append(...sentences.map((sentence) => make("li", "", sentence)));
  if (document.activeElement === layer.canvas) sayLater(`${nameOf(layer, cell)}. ${sentences.join(" ")}`);
}

/** The patch, the filter and their products, for all input channels as images and for one as numbers. */
function showWindow(layer, { parts, size, channels, top, left }) {
  const cells = size * size;
  const sums = Array.from({ length: channels }, (_, channel) =>
    parts.slice(channel * cells, (channel + 1) * cells).reduce((total, part) => total + part.product, 0));
  const order = [...sums.keys()].sort((one, other) => Math.abs(sums[other]) - Math.abs(sums[one]));
  const channel = look.channel ?? order[0];
  const source = channels > 1 ? `channel ${channel} of its input` : "its input";
  const content = by("how-parts");
  if (channels > 1) {
    for (const [title, key] of [["Patches of all channels", "input"], ["The filter", "weight"], ["Products", "product"]]) {
      const figure = make("figure");
      const canvas = Object.assign(make("canvas"), { role: "img", ariaLabel: title });
      figure.append(make("figcaption", "", title), canvas);
      content.append(figure);
      const kind = key === "input" ? "plain" : "signed";
      const values = parts.map((part) => part[key]);
      new Tiles(canvas, channels, size, size, Math.min(content.clientWidth, 232), 32, kind).paint(key === "input" ? stretch(values, 1, 1) : center(values));
    }
    const select = make("select");
    select.append(...order.map((each) => Object.assign(make("option", "", `channel ${each}: ${number(sums[each])}`), { value: each, selected: each === channel })));
    select.addEventListener("change", () => {
      Object.assign(look, { channel: Number(select.value), pinned: true });
      showHow();
      by("how-parts").querySelector("select").focus();
    });
    const label = make("label", "wide", "Numbers of ");
    label.append(select);
    content.append(label);
  }
  const shown = parts.slice(channel * cells, (channel + 1) * cells);
  const titles = { input: `Rows ${top} to ${top + size - 1}, columns ${left} to ${left + size - 1} of ${source}`, weight: "times the filter", product: `gives products, together ${number(sums[channel])}` };
  for (const [key, title] of Object.entries(titles)) {
    const table = make("table", "numbers");
    const caption = make("caption", "", title);
    table.append(caption);
    const largest = shown.reduce((most, part) => Math.max(most, Math.abs(part[key])), 1e-12);
    for (let row = 0; row < size; row++) {
      const line = table.insertRow();
      for (const part of shown.slice(row * size, (row + 1) * size)) {
        const value = line.insertCell();
        value.textContent = part[key].toFixed(2).replace(/^(-?)0\./, "$1.").replace(/^-\.00$/, ".00");
        value.style.setProperty("--share", `${Math.round((Math.abs(part[key]) / largest) * 60)}%`);
        value.className = part[key] < 0 ? "negative" : "positive";
      }
    }
    const frame = make("div", "scrolled");
    frame.append(table);
    content.append(frame);
  }
}

/** The inputs that contribute most to a weighted sum, as bars. */
function showParts({ parts, products, bias, output }) {
  const largest = [...parts].sort((one, other) => Math.abs(other.product) - Math.abs(one.product));
  const most = largest.slice(0, MOST_PARTS);
  const rest = products - most.reduce((total, part) => total + part.product, 0);
  const table = make("table", "parts");
  const head = table.createTHead().insertRow();
  head.append(...["input", "value", "weight", "product"].map((title) => make("th", "", title)));
  const body = table.createTBody();
  const scale = Math.max(...most.map((part) => Math.abs(part.product)), 1e-12);
  const add = (name, input, weight, product, share) => {
    const row = body.insertRow();
    row.append(make("th", "", name), make("td", "", input), make("td", "", weight), make("td", product < 0 ? "negative" : "positive", number(product)));
    row.lastChild.style.setProperty("--share", `${Math.round(Math.min(1, Math.abs(share)) * 60)}%`);
  };
  for (const { name, input, weight, product } of most) add(name, number(input), number(weight), product, product / scale);
  if (parts.length > most.length) add(`the other ${(parts.length - most.length).toLocaleString("en")}`, "", "", rest, rest / scale);
  add("bias", "", "", bias, bias / scale);
  add("together", "", "", output, 0);
  const frame = make("div", "scrolled wide");
  frame.append(table);
  by("how-parts").append(frame);
}

/** Pointing, clicking, and the keys of a layer. */
function makeInspectable(layer) {
  const { canvas, tiles } = layer;
  canvas.addEventListener("pointermove", (event) => {
    const cell = tiles.cellAt(event);
    if (cell && !look.pinned) lookAt(layer, cell);
  });
  canvas.addEventListener("click", (event) => {
    const cell = tiles.cellAt(event);
    const same = look.pinned && look.layer === layer && ["map", "row", "column"].every((key) => look.cell[key] === cell?.[key]);
    if (cell) lookAt(layer, cell, !same);
  });
  canvas.addEventListener("focus", () => {
    if (look.layer !== layer) lookAt(layer, { map: 0, row: 0, column: 0 }, false);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = look.layer === layer ? { ...look.cell } : { map: 0, row: 0, column: 0 };
    const [across, down] = ARROWS[event.key] ?? [0, 0];
    if (event.key in ARROWS && (event.shiftKey || !layer.height)) cell.map += across + down * tiles.columns;
    else if (event.key in ARROWS) [cell.row, cell.column] = [cell.row + down, cell.column + across];
    else if (event.key === "Enter" || event.key === " ") return event.preventDefault(), lookAt(layer, cell, !look.pinned);
    else return;
    event.preventDefault();
    cell.map = clamp(cell.map, 0, tiles.count - 1);
    cell.row = clamp(cell.row, 0, tiles.height - 1);
    cell.column = clamp(cell.column, 0, tiles.width - 1);
    lookAt(layer, cell);
  });
}
