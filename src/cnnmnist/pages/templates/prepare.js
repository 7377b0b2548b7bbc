"use strict";
// From strokes to images like those of the training. data/preprocessing.py and data/segmentation.py do the same with
// the pixels of a picture, and explain the numbers. A stroke is a list of points [x, y]; the unit of all lengths on
// the paper is its shorter side.

const STROKE = 0.07; // width
const BOX = 20 / 28; // longer side of a digit, as a fraction of the image's shorter side
const [NARROW, WIDE] = [2.6, 3.6]; // stroke widths in pixels of 28x28
const MEASURED = 0.15; // pixels of 28x28 by which a picture's strokes measure wider than they are
const GAP = 0.03; // of the tallest digit's height; strokes with a smaller gap belong to one digit
const LARGEST_GAP = 0.3; // of the height of both, between strokes above each other
const LEAST_HEIGHT = 0.25; // of the tallest digit
const SIGN = 0.3; // of a line's height is the width of a sign before or behind digits, such as a minus
const EDGE = 0.003; // of the paper's side; ink that is closer to the edge is cut
const LEAST_COMMON = 0.35; // of the lower of two digits that stand beside each other in a line
const SMALL = 0.35; // of the tallest digit's height; a lower part near a digit belongs to it, unless it is a dot
const DOT = 0.2;
const NEAR = 0.1;
const CRACK = 0.08; // of the height of both; a smaller gap between two parts above each other is no gap

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The images of all digits, from left to right, line by line: [{strokes, pixels, line}], and what findLines found. */
function prepare(strokes, network) {
  if (network.whole) return [{ strokes, line: 0, pixels: paperImage(strokes, network) }];
  return findLines(strokes).flatMap((line, number) =>
    line.map((digit) => ({ ...digit, line: number, pixels: digitImage(digit.strokes, network.image_shape) })));
}

/** The paper as a whole, scaled; ink is dark on light unless the images of the training are light on dark. */
function paperImage(strokes, { image_shape: [height, width], negated }) {
  const scale = Math.min(height, width);
  const image = rasterize(strokes, height, width, (point) => point.map((value) => value * scale), (STROKE * scale) / 2);
  return negated ? image : image.map((ink) => 255 - ink);
}

/** A digit in its box, with strokes of a usual width, and its centre of mass in the middle of the image. */
function digitImage(strokes, [height, width]) {
  const unit = 28 / Math.min(height, width);
  const side = Math.round(BOX * Math.min(height, width));
  const { left, top, right, bottom } = bounds(strokes, 0);
  const longer = Math.max(right - left, bottom - top);
  const before = side / (longer + STROKE);
  const drawn = STROKE * before;
  const measured = drawn * unit + MEASURED;
  const usual = drawn + (clamp(measured, NARROW, WIDE) - measured) / unit;
  const factor = side / (longer * before + usual); // wider strokes must fit into the box, too
  const scale = before * factor;
  const radius = (usual * factor) / 2;
  const across = Math.max(1, Math.round((right - left) * scale + 2 * radius));
  const down = Math.max(1, Math.round((bottom - top) * scale + 2 * radius));
  const move = ([x, y]) => [across / 2 + (x - (left + right) / 2) * scale, down / 2 + (y - (top + bottom) / 2) * scale];
  const digit = rasterize(strokes, down, across, move, radius);
  let [sum, sumX, sumY] = [0, 0, 0];
  digit.forEach((ink, index) => {
    sum += ink;
    sumX += ink * (index % across);
    sumY += ink * Math.floor(index / across);
  });
  const firstX = clamp(Math.round(width / 2 - sumX / sum), 0, width - across);
  const firstY = clamp(Math.round(height / 2 - sumY / sum), 0, height - down);
  const image = new Uint8Array(height * width);
  for (let y = 0; y < down; y++) image.set(digit.subarray(y * across, (y + 1) * across), (firstY + y) * width + firstX);
  return image;
}

/** How much of each pixel the strokes cover, 0 to 255; move places a point in the image. */
function rasterize(strokes, height, width, move, radius) {
  const distances = new Float64Array(height * width).fill(Infinity);
  for (const stroke of strokes) {
    const points = stroke.map(move);
    for (let index = 0; index < points.length; index++) {
      const [one, other] = [points[Math.max(0, index - 1)], points[index]];
      const [fromX, toX] = [Math.min(one[0], other[0]), Math.max(one[0], other[0])];
      const [fromY, toY] = [Math.min(one[1], other[1]), Math.max(one[1], other[1])];
      for (let y = Math.max(0, Math.floor(fromY - radius - 1)); y < Math.min(height, toY + radius + 1); y++) {
        for (let x = Math.max(0, Math.floor(fromX - radius - 1)); x < Math.min(width, toX + radius + 1); x++) {
          const distance = distanceToLine([x + 0.5, y + 0.5], one, other);
          if (distance < distances[y * width + x]) distances[y * width + x] = distance;
        }
      }
    }
  }
  return Uint8Array.from(distances, (distance) => Math.round(255 * clamp(radius + 0.5 - distance, 0, 1)));
}

function distanceToLine([x, y], [fromX, fromY], [toX, toY]) {
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const length = alongX * alongX + alongY * alongY;
  const part = length ? clamp(((x - fromX) * alongX + (y - fromY) * alongY) / length, 0, 1) : 0;
  return Math.hypot(x - fromX - part * alongX, y - fromY - part * alongY);
}

/** The box around strokes. */
function bounds(strokes, margin = STROKE / 2) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  for (const [x, y] of strokes.flat()) {
    box.left = Math.min(box.left, x - margin);
    box.right = Math.max(box.right, x + margin);
    box.top = Math.min(box.top, y - margin);
    box.bottom = Math.max(box.bottom, y + margin);
  }
  return box;
}

const makePart = (strokes) => {
  const box = bounds(strokes);
  return { strokes, ...box, height: box.bottom - box.top, width: box.right - box.left };
};

/** Strokes that touch, or lie above each other, are one digit; digits beside each other are a line. */
function findLines(strokes) {
  const pieces = strokes.map((stroke) => makePart([stroke]));
  const reach = GAP * Math.max(...joinAll(pieces, (one, other) => touch(one, other, 0)).map((part) => part.height));
  const parts = joinAll(pieces, (one, other) => touch(one, other, reach)).sort((one, other) => other.height - one.height);
  const tallest = parts[0].height;
  const digits = [];
  for (const part of parts) {
    const index = digits.findIndex((digit) => belongs(part, digit, tallest));
    if (index < 0) digits.push(part);
    else digits[index] = makePart([...digits[index].strokes, ...part.strokes]);
  }
  const isLow = (digit) => digit.height < LEAST_HEIGHT * tallest;
  const signs = digits.filter(isLow);
  const middle = (line) => line.reduce((sum, digit) => sum + digit.top + digit.bottom, 0) / line.length;
  const lines = [];
  for (const digit of digits.sort((one, other) => one.left + one.right - other.left - other.right)) {
    if (isLow(digit)) continue;
    const common = lines.map((line) => beside(line.at(-1), digit));
    const best = common.indexOf(Math.max(...common));
    if (common[best] > LEAST_COMMON) lines[best].push(digit);
    else lines.push([digit]);
  }
  return lines.sort((one, other) => middle(one) - middle(other)).map((line) => {
    const { left, top, right, bottom } = bounds(line.flatMap((digit) => digit.strokes));
    const isSign = (part) => {
      const reach = part.width >= SIGN * (bottom - top) ? bottom - top : 0;
      return left - reach < part.left && part.right < right + reach && top < part.top && part.top < bottom;
    };
    const cut = [left <= EDGE, right >= 1 - EDGE, top <= EDGE, bottom >= 1 - EDGE];
    const isCut = cut.some(Boolean) && !(cut[0] && cut[1]) && !(cut[2] && cut[3]);
    const besideSign = isCut || signs.some(isSign);
    return line.map((digit) => ({ ...digit, besideSign }));
  });
}

/** Join all parts that a chain of joined pairs connects. */
function joinAll(parts, joined) {
  const groups = [];
  for (const part of parts) {
    const near = groups.filter((group) => group.some((each) => joined(each, part)));
    for (const group of near) groups.splice(groups.indexOf(group), 1);
    groups.push([...near.flat(), part]);
  }
  return groups.map((group) => makePart(group.flatMap((part) => part.strokes)));
}

/** Whether the ink of two strokes is at most this far apart. */
function touch(one, other, reach) {
  const apart = Math.max(one.left - other.right, other.left - one.right, one.top - other.bottom, other.top - one.bottom);
  if (apart > reach) return false;
  const line = other.strokes[0];
  return dense(one.strokes[0]).some((point) =>
    line.some((end, index) => distanceToLine(point, line[Math.max(0, index - 1)], end) <= STROKE + reach));
}

/** The points of a stroke, and others between them, so that no two neighbours are far apart. */
function dense(stroke) {
  return stroke.flatMap(([x, y], index) => {
    const [fromX, fromY] = stroke[Math.max(0, index - 1)];
    const steps = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) / STROKE));
    return Array.from({ length: steps }, (_, step) => [x - ((x - fromX) * step) / steps, y - ((y - fromY) * step) / steps]);
  });
}

/** Whether a part is a stroke of a digit: a small one near it, or one that is mostly above, below or inside it. */
function belongs(part, digit, tallest) {
  const overlap = Math.min(part.right, digit.right) - Math.max(part.left, digit.left);
  const gap = Math.max(part.top, digit.top) - Math.min(part.bottom, digit.bottom);
  const isDot = Math.max(part.height, part.width) < DOT * tallest;
  if (part.height < SMALL * tallest && !isDot && Math.max(gap, -overlap) < NEAR * tallest) return true;
  if (overlap < Math.min(part.width, digit.width) / 2) return false;
  if (gap < -0.2 * part.height || part.height < digit.height / 2) return gap <= LARGEST_GAP * (part.height + digit.height);
  const height = Math.max(part.bottom, digit.bottom) - Math.min(part.top, digit.top);
  const width = Math.max(part.right, digit.right) - Math.min(part.left, digit.left);
  return gap < CRACK * height && (height < 1.6 * width || Math.max(part.width, digit.width) < 0.3 * height);
}

/** The common height of two digits, as a fraction of the lower. */
function beside(one, other) {
  return (Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top)) / Math.min(one.height, other.height);
}
