// Pixels. Each panel has one ImageData; a slider step rewrites it from tables and allocates nothing. A step of the
// threshold redraws the outline only: the blended image below it is kept.

import { STEPS } from "./state.js";

const FAKE = [213, 94, 0]; // the colour of fake pixels in the figures of wsdl
const WHITE = 0xffffffff;
const DARK = 0xff222222; // little-endian ABGR, as all 32-bit colours here
const BLUE = 0xffe9b456; // #56B4E9: the true mask

// Canvas pixels per map pixel, a whole number: about the size on screen, so that outlines stay sharp.
export function enlargement(width, height, panels) {
  return Math.max(1, Math.round((panels > 1 ? 256 : 512) / Math.max(width, height)));
}

// An image at the size of a panel, in colour and in grey (the weights of Pillow's "L").
export function enlargeImage(bitmap, width, height, scale) {
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

// The colour of every level times the opacity, and the weight of the image, in 1/256.
export class ColourTable {
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
  constructor(canvas, width, height, scale) {
    this.scale = scale;
    this.width = width;
    this.height = height;
    canvas.width = width * this.scale;
    canvas.height = height * this.scale;
    this.pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    this.image = this.pen.createImageData(canvas.width, canvas.height);
    this.out = new Uint32Array(this.image.data.buffer);
    this.under = new Uint32Array(this.out.length); // without the outline of the map
    this.column = Uint16Array.from({ length: canvas.width }, (_, x) => (x / scale) | 0); // map pixel of a canvas pixel
  }

  // Show the blended image, with the outline of {levels > k} if there are levels.
  show(levels, k, split) {
    this.out.set(this.under);
    if (levels) this.outline(this.out, levels, k, WHITE, split);
    this.pen.putImageData(this.image, 0, 0);
  }

  original(image) {
    this.under.set(image.colour);
  }

  // The map over the image; columns left of `split` show the image alone.
  blend(image, levels, table, grey, split) {
    const { under, column, scale, width, height } = this;
    const { red, green, blue, rest } = table;
    const across = width * scale;
    for (let y = 0, i = 0; y < height * scale; y++) {
      const row = ((y / scale) | 0) * width;
      for (let x = 0; x < across; x++, i++) {
        if (x < split) {
          under[i] = image.colour[i];
          continue;
        }
        const q = levels[row + column[x]];
        let r, g, b;
        if (grey) r = g = b = image.grey[i];
        else {
          const c = image.colour[i];
          r = c & 255;
          g = (c >> 8) & 255;
          b = (c >> 16) & 255;
        }
        r = (red[q] + rest * r) >> 8;
        g = (green[q] + rest * g) >> 8;
        b = (blue[q] + rest * b) >> 8;
        under[i] = 0xff000000 | (b << 16) | (g << 8) | r;
      }
    }
  }

  // The image with the pixels of its mask tinted.
  tint(image, mask) {
    const { under, column, scale, width, height } = this;
    for (let y = 0, i = 0; y < height * scale; y++) {
      const row = ((y / scale) | 0) * width;
      for (let x = 0; x < width * scale; x++, i++) {
        const c = image.colour[i];
        if (!mask[row + column[x]]) {
          under[i] = c;
          continue;
        }
        const r = (c & 255) * 0.55 + FAKE[0] * 0.45;
        const g = ((c >> 8) & 255) * 0.55 + FAKE[1] * 0.45;
        const b = ((c >> 16) & 255) * 0.55 + FAKE[2] * 0.45;
        under[i] = 0xff000000 | (b << 16) | (g << 8) | r;
      }
    }
  }

  outlineMask(mask, split) {
    this.outline(this.under, mask, 0, BLUE, split);
  }

  // A line along the inner edge of {values > k}, with a dark one around it; closed at the edge of the image.
  outline(out, values, k, line, split) {
    const { width, height, scale } = this;
    const thick = Math.min(2, Math.max(1, scale >> 1));
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const inside = values[i] > k;
        const left = x > 0 && values[i - 1] > k;
        const right = x + 1 < width && values[i + 1] > k;
        const above = y > 0 && values[i - width] > k;
        const below = y + 1 < height && values[i + width] > k;
        if (left === inside && right === inside && above === inside && below === inside) continue;
        const colour = inside ? line : DARK;
        const wide = inside ? thick : 1;
        const x0 = x * scale;
        const y0 = y * scale;
        const x1 = x0 + scale;
        const y1 = y0 + scale;
        if (left !== inside) this.fill(out, x0, y0, x0 + wide, y1, colour, split);
        if (right !== inside) this.fill(out, x1 - wide, y0, x1, y1, colour, split);
        if (above !== inside) this.fill(out, x0, y0, x1, y0 + wide, colour, split);
        if (below !== inside) this.fill(out, x0, y1 - wide, x1, y1, colour, split);
      }
    }
  }

  fill(out, x0, y0, x1, y1, colour, split) {
    const across = this.width * this.scale;
    for (let y = y0; y < y1; y++) for (let x = Math.max(x0, split); x < x1; x++) out[y * across + x] = colour;
  }
}

// The colour bar: mixed with mid-grey as the map is with the image, so that it shows the colours on screen.
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
