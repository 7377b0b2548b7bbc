"use strict";
// The answer: text, bars, images and outputs of layers, painted and said.

const MANY = 12; // classes; of more, only the likeliest are shown
const SHOWN = 10;
const QUIET = 900; // milliseconds after which an answer is said aloud

const percent = (value) => `${(100 * value).toFixed(1)} %`;

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
  by("text").textContent = answer?.marked ?? "–";
  const words = digits.some((digit) => digit.name.length > 1);
  by("text").classList.toggle("words", words);
  by("text").classList.toggle("long", !words && answer?.marked.length > 2);
  by("text").parentElement.classList.toggle("empty", !digits.length);
  by("detail").textContent = digits.length ? detail() : "nothing yet";
  const doubtful = digits.some((digit) => digit.doubtful);
  by("doubt").classList.toggle("doubtful", doubtful);
  by("seen-caption").textContent = digits.length > 1 ? `${digits.length} digits` : "what it gets";
  showImages(digits);
  showDigit(digits[chosen]);
  showHow();
  if (digits.length) sayLater(`${answer.text}, ${detail()}${doubtful ? ", may well be wrong" : ""}.`);
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
