// The page: strokes -> pixels for the program -> its answer, painted.

const STROKE = 0.07; // width, of the drawing's shorter side
const STEP = 1 / 28; // of the keyboard's pen
const MAP = 50; // the size that a map should have, in CSS pixels
const GAP = 2; // CSS pixels between and around maps
const NEAR = 0.004; // closer points are left out
const MANY = 12; // classes; of more, only the likeliest are shown
const SHOWN = 10;
const QUIET = 900; // milliseconds after which an answer is said aloud
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const by = (id) => document.getElementById(id);
const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const bytes = (base64) => Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));

// Images

function palette() {
  const style = getComputedStyle(document.documentElement);
  const [paper, ink] = ["--paper", "--ink"].map((name) =>
    style.getPropertyValue(name).match(/[0-9a-f]{2}/gi).map((each) => parseInt(each, 16)));
  const colors = new Uint8ClampedArray(256 * 4);
  for (let value = 0; value < 256; value++) {
    for (let part = 0; part < 3; part++) colors[4 * value + part] = paper[part] + ((ink[part] - paper[part]) * value) / 255;
    colors[4 * value + 3] = 255;
  }
  return { ink: style.getPropertyValue("--ink"), line: style.getPropertyValue("--line"), colors: new Uint32Array(colors.buffer) };
}

/** Equally large images in one canvas, each of their pixels a square of whole pixels of the screen. */
class Tiles {
  constructor(canvas, count, height, width, room) {
    Object.assign(this, { canvas, count, height, width, room });
    this.values = new Uint8Array(count * height * width);
    this.small = make("canvas");
    this.small.width = width;
    this.small.height = height * count;
  }

  /** Room is CSS pixels of width; few or many columns, so that rows are full and images neither small nor large. */
  paint(values = this.values, room = this.room) {
    Object.assign(this, { values, room });
    const { canvas, count, height, width, small } = this;
    const density = devicePixelRatio;
    const gap = Math.round(GAP * density);
    const enlarged = (columns) => Math.max(1, Math.floor((room * density - gap * (columns + 1)) / (columns * width)));
    const cost = (columns) =>
      Math.abs(Math.log((enlarged(columns) * width) / density / MAP)) + (4 * (Math.ceil(count / columns) * columns - count)) / count;
    let columns = 1;
    for (let each = 2; each <= count && room / each - GAP >= width; each++) {
      if (cost(each) < cost(columns)) columns = each;
    }
    const rows = Math.ceil(count / columns);
    const scale = enlarged(columns);
    const across = columns * width * scale + gap * (columns + 1);
    const down = rows * height * scale + gap * (rows + 1);
    if (canvas.width !== across || canvas.height !== down) {
      Object.assign(canvas, { width: across, height: down });
      canvas.style.width = `${across / density}px`;
      canvas.style.height = `${down / density}px`;
    }
    const pixels = new Uint32Array(values.length);
    for (let index = 0; index < pixels.length; index++) pixels[index] = colors.colors[values[index]];
    small.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height * count), 0, 0);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillStyle = colors.line;
    context.fillRect(0, 0, across, down);
    for (let index = 0; index < count; index++) {
      const x = gap + (index % columns) * (width * scale + gap);
      const y = gap + Math.floor(index / columns) * (height * scale + gap);
      context.drawImage(small, 0, index * height, width, height, x, y, width * scale, height * scale);
    }
  }
}

let colors = palette();

// The drawing: strokes in units of its shorter side, perhaps over a test image

const surface = by("surface");
const paper = by("paper");
const sheet = make("canvas"); // what the program gets: black on white
let network;
let strokes = [];
let test = null; // {number, image: canvas with ink in its alpha}
let version = 0; // of what is on the paper; answers to an older paper come too late

const unit = () => Math.min(...network.drawing_shape);

function trace(canvas, color, points) {
  const context = canvas.getContext("2d");
  const scale = Math.min(canvas.width, canvas.height);
  Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: STROKE * scale, strokeStyle: color });
  context.beginPath();
  context.moveTo(points[0][0] * scale - 0.01, points[0][1] * scale); // so that a point alone is a dot
  for (const [x, y] of points) context.lineTo(x * scale, y * scale);
  context.stroke();
}

function redraw() {
  const white = sheet.getContext("2d", { willReadFrequently: true });
  white.fillStyle = "#fff";
  white.fillRect(0, 0, sheet.width, sheet.height);
  paper.getContext("2d").clearRect(0, 0, paper.width, paper.height);
  for (const [canvas, color] of [[paper, colors.ink], [sheet, "#000"]]) {
    if (test) {
      const tinted = test.image.getContext("2d");
      tinted.globalCompositeOperation = "source-in";
      tinted.fillStyle = color;
      tinted.fillRect(0, 0, test.image.width, test.image.height);
      canvas.getContext("2d").drawImage(test.image, 0, 0, canvas.width, canvas.height);
    }
    for (const points of strokes) trace(canvas, color, points);
  }
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
    if (Math.hypot(point[0] - x, point[1] - y) >= NEAR) stroke.push(point);
  }
  redraw(); // as a whole, because edges that are drawn twice get dark
}

function replaced(next = [], image = null) {
  by("time").textContent = "\u00a0";
  version++;
  strokes = next;
  test = image;
  keyboard.down = false;
  showPen();
  redraw();
}

function undo() {
  if (!strokes.length) return clear();
  replaced(strokes.slice(0, -1), test);
  if (strokes.length) return read();
  return test ? showTest(test.number) : clear();
}

function clear() {
  replaced();
  asked = null;
  show(null);
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
  if (!network || pointer !== null || event.button !== 0) return;
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

function showPen() {
  const [height, width] = network.drawing_shape;
  by("pen").style.setProperty("--x", (keyboard.x * unit()) / width);
  by("pen").style.setProperty("--y", (keyboard.y * unit()) / height);
  by("pen").classList.toggle("down", keyboard.down);
}

function movePen(far) {
  const [height, width] = network.drawing_shape.map((length) => length / unit());
  for (const key of keyboard.held) {
    keyboard.x = Math.min(width, Math.max(0, keyboard.x + ARROWS[key][0] * STEP * (far ? 4 : 1)));
    keyboard.y = Math.min(height, Math.max(0, keyboard.y + ARROWS[key][1] * STEP * (far ? 4 : 1)));
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
  if (network && !event.ctrlKey && !event.metaKey && !event.altKey && pointer === null) press(event);
});
surface.addEventListener("keyup", (event) => keyboard.held.delete(event.key));
surface.addEventListener("blur", () => keyboard.held.clear());
document.addEventListener("keydown", (event) => {
  const undoing = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
  if (undoing && network && pointer === null && event.target.tagName !== "INPUT") {
    event.preventDefault();
    undo();
  }
});

// Questions: one at a time on its way, and after it only the newest

let asked = null;
let busy = false;

async function ask(question) {
  // An older question that was not sent is answered by this one; its pen waits since then.
  asked = { ...question, version, since: asked?.version === version && asked.since < question.since ? asked.since : question.since };
  if (busy) return;
  busy = true;
  while (asked) {
    const { path, body, since, version: ours, done } = asked;
    asked = null;
    let answer;
    try {
      const options = body && { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: body() };
      answer = await (await fetch(path, options)).json();
      problem("");
    } catch {
      problem("The program does not answer. Is cnnmnist draw still running in its terminal?");
      continue;
    }
    if (ours !== version) continue;
    done?.(answer);
    show(answer);
    if (since) measure(since);
  }
  busy = false;
}

function read(since = 0) {
  ask({ path: "api/drawing", body: pixels, since });
}

function pixels() {
  const image = sheet.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, sheet.width, sheet.height).data;
  const grey = new Uint8Array(image.length / 4);
  for (let index = 0; index < grey.length; index++) grey[index] = image[4 * index];
  return grey;
}

function showTest(number) {
  replaced();
  ask({ path: `api/test-images/${number}`, since: 0, done: (answer) => { if (!answer.error) laid(number, answer); } });
}

function laid(number, answer) {
  const [height, width] = network.image_shape;
  const image = Object.assign(make("canvas"), { width, height });
  const data = new ImageData(width, height);
  bytes(answer.digits[0].image).forEach((value, index) => { data.data[4 * index + 3] = value; });
  image.getContext("2d").putImageData(data, 0, 0);
  strokes = [];
  test = { number, image };
  redraw();
}

let measured = 0;

/** From the oldest pen event in the drawing to its answer on the screen. */
function measure(since) {
  requestAnimationFrame(() => {
    const painted = new MessageChannel(); // its message comes after the frame
    painted.port1.onmessage = () => {
      if (++measured % 2000 === 0) performance.clearMeasures();
      const { duration } = performance.measure("pen to answer", { start: since, end: performance.now() });
      by("time").textContent = `${Math.round(duration)} ms from pen to answer`;
    };
    painted.port2.postMessage(null);
  });
}

// Answers

let chosen = 0; // which of several digits is shown
let last = null;
let rows = [];
let layers = [];
let images = [];

function show(answer) {
  const before = last?.digits?.length;
  last = answer;
  const digits = answer?.digits ?? [];
  if (digits.length !== before) chosen = Math.max(0, digits.length - 1);
  by("text").textContent = answer?.text ?? "–";
  const words = digits.some((digit) => digit.name.length > 1);
  by("text").classList.toggle("words", words);
  by("text").classList.toggle("long", !words && digits.length > 2);
  by("text").parentElement.classList.toggle("empty", !digits.length);
  by("detail").textContent = answer?.error ?? (digits.length ? detail(answer) : "nothing yet");
  by("seen-caption").textContent = digits.length > 1 ? `${digits.length} digits` : "what it gets";
  showImages(digits);
  showDigit(digits[chosen]);
  const sentence = answer?.error ?? (digits.length ? `${answer.text}, ${detail(answer)}.` : "");
  if (sentence) sayLater(sentence);
}

function detail(answer) {
  if (answer.digits.length > 1) return `bars and layers: “${answer.digits[chosen].name}”`;
  const sure = `${percent(answer.digits[0].probability)} sure`;
  if (answer.label === undefined) return sure;
  const name = network.classes[answer.label];
  return answer.label === answer.digits[0].digit ? `right, ${sure}` : `wrong: it is ${name}; ${sure}`;
}

function showImages(digits) {
  const count = Math.max(1, digits.length);
  if (images.length !== count) {
    const [height, width] = network.image_shape;
    const room = count > 1 ? 32 : 116;
    const buttons = Array.from({ length: count }, (_, index) => {
      const button = Object.assign(make("button"), { type: "button" });
      button.append(make("canvas"));
      button.addEventListener("click", () => { chosen = index; show(last); });
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
    tiles.paint(digits[index] ? bytes(digits[index].image) : new Uint8Array(tiles.values.length));
  });
}

function showDigit(digit) {
  const many = network.classes.length > MANY;
  const probabilities = digit?.probabilities ?? network.classes.map(() => 0);
  const order = [...probabilities.keys()];
  if (many) order.sort((one, other) => probabilities[other] - probabilities[one]);
  rows.forEach(({ row, name, fill, value }, index) => {
    const label = order[index];
    name.textContent = name.title = digit || !many ? network.classes[label] : "";
    value.textContent = digit ? percent(probabilities[label]) : "";
    fill.style.transform = `translateX(${100 * (probabilities[label] - 1)}%)`;
    row.classList.toggle("first", label === digit?.digit);
  });
  for (const { name, tiles } of layers) tiles.paint(digit ? bytes(digit.maps[name]) : new Uint8Array(tiles.values.length));
}

function problem(sentence) {
  if (by("problem").textContent === sentence) return;
  by("problem").textContent = sentence;
  by("problem").hidden = !sentence;
}

let waiting = 0;

function say(sentence) {
  clearTimeout(waiting);
  by("said").textContent = sentence;
}

/** Only what stands for a while is said, and not while a stroke is being drawn. */
function sayLater(sentence) {
  clearTimeout(waiting);
  waiting = setTimeout(() => (pointer === null ? say(sentence) : sayLater(sentence)), QUIET);
}

// Start

function introduce() {
  const digits = network.classes.every((name) => /^[0-9]$/.test(name));
  const { run, dataset, classes, tests } = network;
  if (!digits) {
    by("title").textContent = "Draw for the network";
    document.title = "Draw for the network · cnnmnist";
  }
  const known = classes.length > MANY ? `${classes.slice(0, MANY).join(", ")} and ${classes.length - MANY} more` : classes.join(", ");
  by("about").textContent = `Run ${run}, trained on ${dataset}` + (digits ? "" : `. It knows only ${known}.`);
  by("hint").firstChild.textContent = digits ? "Draw a digit here" : "Draw one of its classes here";
  by("test").hidden = !tests;
  if (tests) {
    by("number").max = tests.count - 1;
    const seen = tests.seen_in_training ? "; the network was trained on such images" : "";
    by("about-tests").textContent = `0 to ${(tests.count - 1).toLocaleString("en")} of ${tests.dataset}${seen}`;
  }
}

function build() {
  const [height, width] = network.drawing_shape;
  Object.assign(sheet, { width, height });
  surface.style.aspectRatio = `${width} / ${height}`;
  const longest = Math.max(...network.classes.map((name) => name.length));
  by("bars").style.setProperty("--names", `${Math.min(10, Math.max(1.2, 0.62 * longest))}em`);
  rows = Array.from({ length: network.classes.length > MANY ? SHOWN : network.classes.length }, () => {
    const parts = { row: make("li"), name: make("span", "name"), track: make("span", "track"), fill: make("span", "fill"), value: make("span", "value") };
    parts.track.append(parts.fill);
    parts.row.append(parts.name, parts.track, parts.value);
    return parts;
  });
  by("bars").replaceChildren(...rows.map(({ row }) => row));
  layers = network.layers.map((layer) => {
    const figure = make("figure");
    const caption = make("figcaption", "", layer.name);
    const size = `${layer.width}×${layer.height}`;
    const shown = layer.maps < layer.filters ? `the first ${layer.maps} of ${layer.filters} maps` : `${layer.maps} maps`;
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Outputs of ${layer.name}: ${shown} of ${size} pixels`);
    caption.append(make("span", "caption", `${shown}, ${size}`));
    figure.append(caption, canvas);
    return { figure, name: layer.name, tiles: new Tiles(canvas, layer.maps, layer.height, layer.width, 300) };
  });
  by("layers").replaceChildren(...layers.map(({ figure }) => figure));
  by("layers").closest("section").hidden = !layers.length;
}

function fit() {
  const { width, height } = surface.getBoundingClientRect();
  const across = Math.round((width - 2) * devicePixelRatio);
  const down = Math.round((height - 2) * devicePixelRatio);
  if (paper.width !== across || paper.height !== down) {
    Object.assign(paper, { width: across, height: down });
    redraw();
  }
  for (const { figure, tiles } of layers) tiles.paint(tiles.values, figure.clientWidth);
}

function recolor() {
  colors = palette();
  redraw();
  for (const tiles of [...images, ...layers.map((layer) => layer.tiles)]) tiles.paint();
}

by("undo").addEventListener("click", undo);
by("clear").addEventListener("click", clear);
by("test").addEventListener("submit", (event) => {
  event.preventDefault();
  showTest(Number(by("number").value));
});
by("random").addEventListener("click", () => {
  by("number").value = Math.floor(Math.random() * network.tests.count);
  showTest(Number(by("number").value));
});

try {
  network = await (await fetch("api/network")).json();
  introduce();
  build();
  show(null);
  showPen();
  const observer = new ResizeObserver(fit);
  [surface, by("layers")].forEach((each) => observer.observe(each));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
} catch (error) {
  problem("The program does not answer. Is cnnmnist draw still running in its terminal?");
  throw error;
}
