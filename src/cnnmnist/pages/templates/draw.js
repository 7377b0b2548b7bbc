"use strict";
// The page: strokes -> images -> the network's answer, painted.

const STEP = 1 / 28; // of the keyboard's pen
const NEARER = 0.004; // closer points are left out
const MANY = 12; // classes; of more, only the likeliest are shown
const SHOWN = 10;
const MOST_MAPS = 64; // of a layer; of more, nobody could tell them apart
const MOST_UNITS = 256;
const QUIET = 900; // milliseconds after which an answer is said aloud
const SLOW = 60; // milliseconds of an answer; a slower network answers only when the pen rests
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const percent = (value) => `${(100 * value).toFixed(1)} %`;

const network = JSON.parse(by("network").textContent);
network.weights = splitWeights(network.layers, decodeWeights(network.numbers, network.type));
delete network.numbers;

// The drawing: strokes in units of the paper's shorter side, perhaps over a test image

const surface = by("surface");
const paper = by("paper");
let strokes = [];
let test = null; // {number, pixels, image: canvas with ink in its alpha}
let testImages = []; // pixels of each

function trace(canvas, points) {
  const context = canvas.getContext("2d");
  const scale = Math.min(canvas.width, canvas.height);
  Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: STROKE * scale, strokeStyle: colors.ink });
  context.beginPath();
  context.moveTo(points[0][0] * scale - 0.01, points[0][1] * scale); // so that a point alone is a dot
  for (const [x, y] of points) context.lineTo(x * scale, y * scale);
  context.stroke();
}

function redraw() {
  const context = paper.getContext("2d");
  context.clearRect(0, 0, paper.width, paper.height);
  if (test) {
    const tinted = test.image.getContext("2d");
    tinted.globalCompositeOperation = "source-in";
    tinted.fillStyle = colors.ink;
    tinted.fillRect(0, 0, test.image.width, test.image.height);
    context.drawImage(test.image, 0, 0, paper.width, paper.height);
  }
  for (const points of strokes) trace(paper, points);
  const empty = !strokes.length && !test;
  by("hint").hidden = !empty;
  by("undo").disabled = by("clear").disabled = empty;
}

function begin(point) {
  strokes.push([point]);
  redraw();
}

function go(points) {
  const stroke = strokes.at(-1);
  for (const point of points) {
    const [x, y] = stroke.at(-1);
    if (Math.hypot(point[0] - x, point[1] - y) >= NEARER) stroke.push(point);
  }
  redraw(); // as a whole, because edges that are drawn twice get dark
}

function replaced(next = [], image = null) {
  by("time").textContent = "\u00a0";
  strokes = next;
  test = image;
  keyboard.down = false;
  showPen();
  redraw();
}

function undo() {
  if (!strokes.length) return clear();
  replaced(strokes.slice(0, -1), test);
  if (strokes.length || test) read();
  else clear();
}

function clear() {
  replaced();
  show(null);
  clearTimeout(waiting);
  say("Cleared.");
}

// Pointers

let pointer = null;

function place(event) {
  const box = paper.getBoundingClientRect();
  const side = Math.min(box.width, box.height);
  return [(event.clientX - box.left) / side, (event.clientY - box.top) / side];
}

surface.addEventListener("pointerdown", (event) => {
  if (pointer !== null || event.button !== 0) return;
  pointer = event.pointerId;
  surface.setPointerCapture(pointer);
  keyboard.down = false;
  showPen();
  begin(place(event));
  read(event.timeStamp);
});

surface.addEventListener("pointermove", (event) => {
  if (event.pointerId !== pointer || !strokes.length) return;
  const events = event.getCoalescedEvents?.() ?? [];
  go((events.length ? events : [event]).map(place));
  read((events[0] ?? event).timeStamp);
});

for (const kind of ["pointerup", "pointercancel"]) {
  surface.addEventListener(kind, (event) => {
    if (event.pointerId === pointer) pointer = null;
  });
}

// Keyboard

const keyboard = { x: 0.5, y: 0.5, down: false, held: new Set() };

/** Width and height of the paper, in units of its shorter side. */
const paperSize = () => network.image_shape.map((side) => side / Math.min(...network.image_shape)).reverse();

function showPen() {
  const [width, height] = paperSize();
  by("pen").style.setProperty("--x", keyboard.x / width);
  by("pen").style.setProperty("--y", keyboard.y / height);
  by("pen").classList.toggle("down", keyboard.down);
}

function movePen(far) {
  const [width, height] = paperSize();
  for (const key of keyboard.held) {
    keyboard.x = clamp(keyboard.x + ARROWS[key][0] * STEP * (far ? 4 : 1), 0, width);
    keyboard.y = clamp(keyboard.y + ARROWS[key][1] * STEP * (far ? 4 : 1), 0, height);
  }
  if (keyboard.down) go([[keyboard.x, keyboard.y]]);
}

function press(event) {
  if (event.key in ARROWS) {
    keyboard.held.add(event.key); // two held at once draw slanting
    movePen(event.shiftKey);
  } else if (event.key === " " && !event.repeat) {
    keyboard.down = !keyboard.down;
    if (keyboard.down) begin([keyboard.x, keyboard.y]);
    say(keyboard.down ? "Pen down." : "Pen up.");
  } else if (event.key === "Escape" && keyboard.down) {
    keyboard.down = false;
    say("Pen up.");
  } else if (event.key === "Delete" || event.key === "Backspace") {
    clear();
  } else {
    return;
  }
  event.preventDefault();
  showPen();
  if (keyboard.down) read(event.timeStamp);
}

surface.addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey && !event.altKey && pointer === null) press(event);
});
surface.addEventListener("keyup", (event) => keyboard.held.delete(event.key));
surface.addEventListener("blur", () => keyboard.held.clear());
document.addEventListener("keydown", (event) => {
  const undoing = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
  if (undoing && pointer === null && event.target.tagName !== "INPUT") {
    event.preventDefault();
    undo();
  }
});

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
  known = images.map((image) => {
    const same = known.find(({ pixels }) => pixels.every((value, index) => value === image.pixels[index]));
    const reading = same?.reading ?? readImage(network, image.pixels);
    const label = reading.probabilities.indexOf(Math.max(...reading.probabilities));
    return { ...image, reading, label, name: network.classes[label] };
  });
  const separator = network.classes.every((name) => name.length === 1) ? "" : " ";
  const text = known.reduce((text, { name, line }, index) =>
    text + (index ? (line === known[index - 1].line ? separator : "\n") : "") + name, "");
  return { text, digits: known, truth: test && !strokes.length ? network.tests.labels[test.number] : undefined };
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

// Answers

let chosen = 0; // which of several digits is shown
let answer = null;
let rows = [];
let shownLayers = [];
let images = [];

function show(next) {
  const before = answer?.digits.length;
  answer = next;
  const digits = answer?.digits ?? [];
  if (digits.length !== before) chosen = Math.max(0, digits.length - 1);
  by("text").textContent = answer?.text ?? "–";
  const words = digits.some((digit) => digit.name.length > 1);
  by("text").classList.toggle("words", words);
  by("text").classList.toggle("long", !words && digits.length > 2);
  by("text").parentElement.classList.toggle("empty", !digits.length);
  by("detail").textContent = digits.length ? detail() : "nothing yet";
  by("seen-caption").textContent = digits.length > 1 ? `${digits.length} digits` : "what it gets";
  showImages(digits);
  showDigit(digits[chosen]);
  showHow();
  if (digits.length) sayLater(`${answer.text}, ${detail()}.`);
}

function detail() {
  const { digits, truth } = answer;
  if (digits.length > 1) return `bars and layers: “${digits[chosen].name}”`;
  const sure = `${percent(Math.max(...digits[0].reading.probabilities))} sure`;
  if (truth === undefined) return sure;
  return truth === digits[0].label ? `right, ${sure}` : `wrong: it is ${network.classes[truth]}; ${sure}`;
}

function showImages(digits) {
  const count = Math.max(1, digits.length);
  if (images.length !== count) {
    const [height, width] = network.image_shape;
    const room = count > 1 ? 32 : 116;
    const buttons = Array.from({ length: count }, (_, index) => {
      const button = Object.assign(make("button"), { type: "button" });
      button.append(make("canvas"));
      button.addEventListener("click", () => { chosen = index; show(answer); });
      return button;
    });
    by("images").classList.toggle("several", count > 1);
    by("images").replaceChildren(...buttons);
    images = buttons.map((button) => new Tiles(button.firstChild, 1, height, width, (room * width) / Math.max(height, width)));
  }
  images.forEach((tiles, index) => {
    const button = tiles.canvas.parentElement;
    const name = digits[index]?.name;
    button.disabled = count === 1;
    button.setAttribute("aria-label", name ? `Image of ${name}` : "No image yet");
    if (count > 1) button.setAttribute("aria-pressed", String(index === chosen));
    tiles.paint(digits[index]?.pixels ?? new Uint8Array(tiles.values.length));
  });
}

function showDigit(digit) {
  const many = network.classes.length > MANY;
  const probabilities = digit?.reading.probabilities ?? network.classes.map(() => 0);
  const order = [...probabilities.keys()];
  if (many) order.sort((one, other) => probabilities[other] - probabilities[one]);
  rows.forEach(({ row, name, fill, value }, index) => {
    const label = order[index];
    name.textContent = name.title = digit || !many ? network.classes[label] : "";
    value.textContent = digit ? percent(probabilities[label]) : "";
    fill.style.transform = `translateX(${100 * (probabilities[label] - 1)}%)`;
    row.classList.toggle("first", label === digit?.label);
  });
  for (const { last, maps, tiles, height } of shownLayers) {
    const values = digit?.reading.layers[last];
    if (!values) tiles.paint(new Uint8Array(tiles.values.length));
    else if (height) tiles.paint(stretch(values, maps, tiles.count));
    else tiles.paint(stretch(values, 1, 1).subarray(0, tiles.count));
  }
}

let waiting = 0;

function say(sentence) {
  by("said").textContent = sentence;
}

/** Only what stands for a while is said, and not while a stroke is being drawn. */
function sayLater(sentence) {
  clearTimeout(waiting);
  waiting = setTimeout(() => (pointer === null ? say(sentence) : sayLater(sentence)), QUIET);
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
