"use strict";
// Images and the outputs of layers, painted as tiles in one canvas.

const GAP_BETWEEN = 2; // CSS pixels between and around tiles

const by = (id) => document.getElementById(id);
const make = (tag, className = "", text = "") => Object.assign(document.createElement(tag), { className, textContent: text });

/** Colours of the page for 256 values: from paper to ink, and, for signed values, from negative over none to positive. */
function palette() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).match(/[0-9a-f]{2}/gi).map((each) => parseInt(each, 16));
  const ramp = (...stops) => {
    const colors = new Uint8ClampedArray(256 * 4).fill(255);
    for (let value = 0; value < 256; value++) {
      const place = (value / 255) * (stops.length - 1);
      const first = Math.min(Math.floor(place), stops.length - 2);
      for (let part = 0; part < 3; part++) {
        colors[4 * value + part] = stops[first][part] + (stops[first + 1][part] - stops[first][part]) * (place - first);
      }
    }
    return new Uint32Array(colors.buffer);
  };
  return {
    ink: style.getPropertyValue("--ink"),
    line: style.getPropertyValue("--line"),
    plain: ramp(color("--paper"), color("--ink")),
    signed: ramp(color("--negative"), color("--none"), color("--positive")),
  };
}

let colors = palette();

/** Equally large images in one canvas, each of their pixels a square of whole pixels of the screen. */
class Tiles {
  constructor(canvas, count, height, width, room, size = 50, colored = "plain") {
    Object.assign(this, { canvas, count, height, width, room, size, colored });
    this.values = new Uint8Array(count * height * width);
    this.small = Object.assign(make("canvas"), { width, height: height * count });
  }

  /** Few or many columns, so that rows are full and tiles about as wide as size; all in CSS pixels. */
  layOut() {
    const { count, height, width, room, size } = this;
    const gap = Math.round(GAP_BETWEEN * devicePixelRatio);
    const enlarged = (columns) => Math.max(1, Math.floor((room * devicePixelRatio - gap * (columns + 1)) / (columns * width)));
    const cost = (columns) =>
      Math.abs(Math.log((enlarged(columns) * width) / devicePixelRatio / size)) + (4 * (Math.ceil(count / columns) * columns - count)) / count;
    let columns = 1;
    for (let each = 2; each <= count && room / each - GAP_BETWEEN >= width; each++) {
      if (cost(each) < cost(columns)) columns = each;
    }
    const scale = enlarged(columns);
    Object.assign(this, { gap, columns, scale, stepX: width * scale + gap, stepY: height * scale + gap });
  }

  paint(values = this.values, room = this.room) {
    Object.assign(this, { values, room });
    this.layOut();
    const { canvas, count, height, width, small, gap, columns, scale, stepX, stepY } = this;
    const [across, down] = [columns * stepX + gap, Math.ceil(count / columns) * stepY + gap];
    if (canvas.width !== across || canvas.height !== down) {
      Object.assign(canvas, { width: across, height: down });
      canvas.style.width = `${across / devicePixelRatio}px`;
      canvas.style.height = `${down / devicePixelRatio}px`;
    }
    const pixels = Uint32Array.from(values, (value) => colors[this.colored][value]);
    small.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height * count), 0, 0);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.fillStyle = colors.line;
    context.fillRect(0, 0, across, down);
    for (let index = 0; index < count; index++) {
      const [x, y] = this.place(index);
      context.drawImage(small, 0, index * height, width, height, x, y, width * scale, height * scale);
    }
  }

  /** The upper left corner of a tile, in pixels of the canvas. */
  place(index) {
    return [this.gap + (index % this.columns) * this.stepX, this.gap + Math.floor(index / this.columns) * this.stepY];
  }

  /** The cell below a pointer: {map, row, column}, or null between tiles. */
  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const across = (event.clientX - box.left) * devicePixelRatio - this.gap;
    const down = (event.clientY - box.top) * devicePixelRatio - this.gap;
    const map = Math.floor(down / this.stepY) * this.columns + Math.floor(across / this.stepX);
    const column = Math.floor((across % this.stepX) / this.scale);
    const row = Math.floor((down % this.stepY) / this.scale);
    const inside = across >= 0 && down >= 0 && Math.floor(across / this.stepX) < this.columns;
    return inside && map < this.count && column < this.width && row < this.height ? { map, row, column } : null;
  }

  /** Where a cell is in the canvas, in CSS pixels: left, top and side. */
  boxOf({ map, row, column }) {
    const [x, y] = this.place(map);
    return [x + column * this.scale, y + row * this.scale, this.scale].map((length) => length / devicePixelRatio);
  }
}

/** Values of several maps, (height, width, maps), as bytes of one map after the other, each from its least to its largest. */
function stretch(values, maps, shown) {
  const cells = values.length / maps;
  const bytes = new Uint8Array(shown * cells);
  for (let map = 0; map < shown; map++) {
    let [low, high] = [Infinity, -Infinity];
    for (let cell = 0; cell < cells; cell++) {
      low = Math.min(low, values[cell * maps + map]);
      high = Math.max(high, values[cell * maps + map]);
    }
    const factor = high > low ? 255 / (high - low) : 0;
    for (let cell = 0; cell < cells; cell++) bytes[map * cells + cell] = Math.round((values[cell * maps + map] - low) * factor);
  }
  return bytes;
}

/** Signed values as bytes: none is 127.5, and the largest size 0 or 255. */
function center(values) {
  const largest = values.reduce((size, value) => Math.max(size, Math.abs(value)), 1e-12);
  return Uint8Array.from(values, (value) => Math.round(127.5 + (127.5 * value) / largest));
}
