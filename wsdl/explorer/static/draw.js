// Pixels. One ImageData a panel, made once; a slider step rewrites it from tables and allocates nothing.

import { STEPS } from "./state.js";

const TARGET = 512; // pixels of the longer side of a panel at least: whole-number enlargement, for crisp outlines
const FAKE = [213, 94, 0]; // the colour of painted pixels in the figures of wsdl
const WHITE = 0xffffffff;
const DARK = 0xff222222; // little-endian ABGR, as all 32-bit colours here
const BLUE = 0xffe9b456; // #56B4E9: the true mask

export function enlargement(width, height) {
  return Math.max(1, Math.round(TARGET / Math.max(width, height)));
}

// A picture at the size of a panel, as colour and as grey (the weights of Pillow's "L").
export function prepare(bitmap, width, height) {
  const scale = enlargement(width, height);
  const canvas = new OffscreenCanvas(width * scale, height * scale);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
  const colour = new Uint32Array(pixels.buffer);
  const grey = new Uint8Array(colour.length);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (19595 * pixels[4 * i] + 38470 * pixels[4 * i + 1] + 7471 * pixels[4 * i + 2] + 32768) >> 16;
  }
  return { colour, grey };
}

// The colour of every level times its opacity, and what is left for the picture, in 1/256.
export class Table {
  constructor() {
    this.red = new Int32Array(STEPS + 1);
    this.green = new Int32Array(STEPS + 1);
    this.blue = new Int32Array(STEPS + 1);
  }

  fill(palette, opacity) {
    const alpha = Math.round(256 * opacity);
    this.rest = 256 - alpha;
    for (let k = 0; k <= STEPS; k++) {
      this.red[k] = alpha * palette[3 * k] + 128;
      this.green[k] = alpha * palette[3 * k + 1] + 128;
      this.blue[k] = alpha * palette[3 * k + 2] + 128;
    }
  }
}

export class Panel {
  constructor(canvas, width, height) {
    this.scale = enlargement(width, height);
    this.width = width;
    this.height = height;
    canvas.width = width * this.scale;
    canvas.height = height * this.scale;
    this.pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.image = this.pen.createImageData(canvas.width, canvas.height);
    this.out = new Uint32Array(this.image.data.buffer);
  }

  show() {
    this.pen.putImageData(this.image, 0, 0);
  }

  original(picture) {
    this.out.set(picture.colour);
  }

  // The map over the picture; columns left of `split` stay the picture.
  blend(picture, levels, table, grey, split) {
    const { out, scale, width, height } = this;
    const { red, green, blue, rest } = table;
    const across = width * scale;
    for (let y = 0, i = 0; y < height * scale; y++) {
      const row = ((y / scale) | 0) * width;
      for (let x = 0; x < across; i++) {
        const q = levels[row + ((x / scale) | 0)];
        if (x++ < split) {
          out[i] = picture.colour[i];
          continue;
        }
        let r, g, b;
        if (grey) r = g = b = picture.grey[i];
        else {
          const c = picture.colour[i];
          r = c & 255;
          g = (c >> 8) & 255;
          b = (c >> 16) & 255;
        }
        r = (red[q] + rest * r) >> 8;
        g = (green[q] + rest * g) >> 8;
        b = (blue[q] + rest * b) >> 8;
        out[i] = 0xff000000 | (b << 16) | (g << 8) | r;
      }
    }
  }

  // The picture with its painted pixels tinted.
  tint(picture, mask) {
    const { out, scale, width, height } = this;
    for (let y = 0, i = 0; y < height * scale; y++) {
      const row = ((y / scale) | 0) * width;
      for (let x = 0; x < width * scale; x++, i++) {
        const c = picture.colour[i];
        if (!mask[row + ((x / scale) | 0)]) {
          out[i] = c;
          continue;
        }
        const r = (c & 255) * 0.55 + FAKE[0] * 0.45;
        const g = ((c >> 8) & 255) * 0.55 + FAKE[1] * 0.45;
        const b = ((c >> 16) & 255) * 0.55 + FAKE[2] * 0.45;
        out[i] = 0xff000000 | (b << 16) | (g << 8) | r;
      }
    }
  }

  outlineMap(levels, k, split) {
    this.outline(levels, k, WHITE, DARK, split);
  }

  outlineMask(mask, split) {
    this.outline(mask, 0, BLUE, DARK, split);
  }

  // A line along the inner edge of {values > k}, with a dark one around it; closed at the edge of the picture.
  outline(values, k, line, halo, split) {
    const { width, height, scale } = this;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const inside = values[i] > k;
        const colour = inside ? line : halo;
        if ((x ? values[i - 1] > k : false) !== inside) this.bar(x * scale, y * scale, 0, 1, colour, split);
        if ((x + 1 < width ? values[i + 1] > k : false) !== inside) {
          this.bar((x + 1) * scale - 1, y * scale, 0, 1, colour, split);
        }
        if ((y ? values[i - width] > k : false) !== inside) this.bar(x * scale, y * scale, 1, 0, colour, split);
        if ((y + 1 < height ? values[i + width] > k : false) !== inside) {
          this.bar(x * scale, (y + 1) * scale - 1, 1, 0, colour, split);
        }
      }
    }
  }

  // One side of a map pixel.
  bar(x, y, right, down, colour, split) {
    const across = this.width * this.scale;
    for (let n = 0; n < this.scale; n++, x += right, y += down) {
      if (x >= split) this.out[y * across + x] = colour;
    }
  }
}

// The colour bar: mixed with mid-grey as the map is with the picture, so that its colours are those on show.
export function drawBar(canvas, table) {
  canvas.width = STEPS + 1;
  canvas.height = 1;
  const pen = canvas.getContext("2d", { alpha: false });
  const image = pen.createImageData(STEPS + 1, 1);
  for (let k = 0; k <= STEPS; k++) {
    const mid = table.rest * 127.5;
    image.data.set([(table.red[k] + mid) >> 8, (table.green[k] + mid) >> 8, (table.blue[k] + mid) >> 8, 255], 4 * k);
  }
  pen.putImageData(image, 0, 0);
}
