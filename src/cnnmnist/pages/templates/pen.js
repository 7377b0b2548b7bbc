"use strict";
// The pen: strokes in units of the paper's shorter side, perhaps over a test image, by pointer and by keys.

const STEP = 1 / 28; // of the keyboard's pen
const NEARER = 0.004; // closer points are left out
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

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
