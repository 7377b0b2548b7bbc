"use strict";
// The page: strokes -> images -> the network's answer, painted.

const MOST_MAPS = 64; // of a layer; of more, nobody could tell them apart
const MOST_UNITS = 256;
const SLOW = 60; // milliseconds of an answer; a slower network answers only when the pen rests

const network = JSON.parse(by("network").textContent);
network.weights = splitWeights(network.layers, decodeWeights(network.numbers, network.type));
delete network.numbers;

// Reading: once before the next frame, however many events come before it

const reads = { asked: false, since: 0, took: 0 };
let known = []; // digits of the last reading, which strokes that did not change need not be read again

function read(since = 0) {
  reads.since = reads.asked && reads.since ? Math.min(reads.since, since || Infinity) : since;
  if (reads.asked) return;
  reads.asked = true;
  const next = () => {
    const [began, oldest] = [performance.now(), reads.since];
    Object.assign(reads, { asked: false, since: 0 });
    if (!strokes.length && !test) return;
    show(answered());
    reads.took = performance.now() - began;
    if (oldest) measure(oldest);
  };
  if (reads.took > SLOW) setTimeout(next, 2 * SLOW);
  else requestAnimationFrame(next);
}

function answered() {
  const images = test ? [{ strokes, line: 0, pixels: overTest() }] : prepare(strokes, network);
  known = withDoubts(images.map((image) => {
    const same = known.find(({ pixels }) => pixels.every((value, index) => value === image.pixels[index]));
    const reading = same?.reading ?? readImage(network, image.pixels);
    const label = reading.probabilities.indexOf(Math.max(...reading.probabilities));
    return { ...image, reading, label, name: network.classes[label] };
  }));
  const separator = network.classes.every((name) => name.length === 1) ? "" : " ";
  const joined = (mark) => known.reduce((text, { name, line, doubtful }, index) =>
    text + (index ? (line === known[index - 1].line ? separator : "\n") : "") + name + (doubtful ? mark : ""), "");
  return { text: joined(""), marked: joined("?"), digits: known, truth: test && !strokes.length ? network.tests.labels[test.number] : undefined };
}

/** The test image with the strokes on it. */
function overTest() {
  const [height, width] = network.image_shape;
  const scale = Math.min(height, width);
  const ink = rasterize(strokes, height, width, (point) => point.map((value) => value * scale), (STROKE * scale) / 2);
  const light = !network.whole || network.negated;
  return test.pixels.map((value, index) => (light ? Math.max(value, ink[index]) : Math.min(value, 255 - ink[index])));
}

function showTest(number) {
  const [height, width] = network.image_shape;
  const image = Object.assign(make("canvas"), { width, height });
  const data = new ImageData(width, height);
  const light = !network.whole || network.negated;
  testImages[number].forEach((value, index) => { data.data[4 * index + 3] = light ? value : 255 - value; });
  image.getContext("2d").putImageData(data, 0, 0);
  replaced([], { number, pixels: testImages[number], image });
  read();
}

let measured = 0;

/** From the oldest pen event in the drawing to its answer on the screen. */
function measure(since) {
  const painted = new MessageChannel(); // its message comes after the frame
  painted.port1.onmessage = () => {
    if (++measured % 2000 === 0) performance.clearMeasures();
    const { duration } = performance.measure("pen to answer", { start: since, end: performance.now() });
    by("time").textContent = `${Math.round(duration)} ms from pen to answer`;
  };
  painted.port2.postMessage(null);
}

// Start

/** Each group of layers such as conv1, with its last layer, whose outputs are shown. */
function groups() {
  const last = new Map(network.layers.filter(({ name }) => name !== "flatten").map((layer) => [layer.name.split("_")[0], layer]));
  return [...last].map(([name, { name: lastName, output_shape: shape }]) => {
    const [height, width, maps] = shape.length === 3 ? shape : [0, 0, shape[0]];
    return { name, last: lastName, height, width, maps };
  });
}

function build() {
  const [height, width] = network.image_shape;
  surface.style.aspectRatio = `${width} / ${height}`;
  const longest = Math.max(...network.classes.map((name) => name.length));
  by("bars").style.setProperty("--names", `${clamp(0.62 * longest, 1.2, 10)}em`);
  rows = Array.from({ length: network.classes.length > MANY ? SHOWN : network.classes.length }, () => {
    const parts = { row: make("li"), name: make("span", "name"), track: make("span", "track"), fill: make("span", "fill"), value: make("span", "value") };
    parts.track.append(parts.fill);
    parts.row.append(parts.name, parts.track, parts.value);
    return parts;
  });
  by("bars").replaceChildren(...rows.map(({ row }) => row));
  shownLayers = groups().map((group) => {
    const shown = Math.min(group.maps, group.height ? MOST_MAPS : MOST_UNITS);
    const kind = group.height ? "maps" : group.name === "logits" ? "classes" : "units";
    const some = shown < group.maps ? `the first ${shown} of ${group.maps} ${kind}` : `${group.maps} ${kind}`;
    const canvas = Object.assign(make("canvas"), { tabIndex: 0 });
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `Outputs of ${group.name}: ${some}. Arrow keys choose a value, with Shift another map; Enter keeps it.`);
    const figure = make("figure");
    const caption = make("figcaption", "", group.name);
    caption.append(make("span", "caption", group.height ? `${some}, ${group.width}×${group.height}` : some));
    const frame = make("div", "frame");
    const cursor = Object.assign(make("span", "cursor"), { hidden: true });
    frame.append(canvas, cursor);
    figure.append(caption, frame);
    const tiles = new Tiles(canvas, shown, group.height || 1, group.width || 1, 300, group.height ? 50 : 18);
    const layer = { ...group, canvas, figure, cursor, tiles };
    makeInspectable(layer);
    return layer;
  });
  by("layers").replaceChildren(...shownLayers.map(({ figure }) => figure));
}

function fit() {
  const { width, height } = surface.getBoundingClientRect();
  const across = Math.round((width - 2) * devicePixelRatio);
  const down = Math.round((height - 2) * devicePixelRatio);
  if (paper.width !== across || paper.height !== down) {
    Object.assign(paper, { width: across, height: down });
    redraw();
  }
  for (const { figure, tiles } of shownLayers) tiles.paint(tiles.values, figure.clientWidth);
  showHow();
}

function recolor() {
  colors = palette();
  redraw();
  for (const tiles of [...images, ...shownLayers.map((layer) => layer.tiles)]) tiles.paint();
  showHow();
}

/** The pixels of the test images, which are one picture. */
async function loadTests() {
  const picture = new Image();
  picture.src = network.tests.sprite;
  await picture.decode();
  const [height, width] = network.image_shape;
  const canvas = Object.assign(make("canvas"), { width: picture.width, height: picture.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const across = picture.width / width;
  testImages = network.tests.labels.map((_, index) => {
    const { data } = context.getImageData((index % across) * width, Math.floor(index / across) * height, width, height);
    return Uint8Array.from({ length: width * height }, (_, pixel) => data[4 * pixel]);
  });
  by("test").hidden = false;
}

by("undo").addEventListener("click", undo);
by("clear").addEventListener("click", clear);
by("test").addEventListener("submit", (event) => {
  event.preventDefault();
  showTest(Number(by("number").value));
});
by("random").addEventListener("click", () => {
  by("number").value = Math.floor(Math.random() * testImages.length);
  showTest(Number(by("number").value));
});

build();
show(null);
showPen();
const observer = new ResizeObserver(fit);
[surface, by("layers")].forEach((each) => observer.observe(each));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);

/** For the console: read(pixels) reads an image, draw(strokes) what was drawn; the test images' pixels are in tests. */
window.cnnmnist = {
  read: (pixels) => readImage(network, pixels),
  draw: (drawn) => {
    replaced(drawn);
    show(answered());
    return answer;
  },
  tests: network.tests ? loadTests().then(() => testImages) : Promise.resolve([]),
};
