// The state of an explorer: images, maps and masks decoded on demand, metrics, and the order of images.

export const STEPS = 200; // levels of a map; level > k exactly where the map is > k / STEPS
const CACHED = 48; // decoded planes and images that are kept

// Bytes are a DataView in a notebook and base64 text in a page.
export function bytesOf(value) {
  if (typeof value === "string") return Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0));
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
}

// The inverse of `pack_plane` in encode.py: inflate, then add to each pixel the median of its three predictions.
export async function unpackPlane(bytes, height, width) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const plane = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const left = x ? plane[i - 1] : 0;
      const up = y ? plane[i - width] : 0;
      const both = left + up - (x && y ? plane[i - width - 1] : 0);
      const low = left < up ? left : up;
      const high = left < up ? up : left;
      plane[i] += both < low ? low : both > high ? high : both;
    }
  }
  return plane;
}

// How many fake and how many real pixels have a level above k, for every k: metrics at any threshold are a look-up.
export function countAbove(levels, mask) {
  const fake = new Uint32Array(STEPS + 2);
  const real = new Uint32Array(STEPS + 2);
  for (let i = 0; i < levels.length; i++) (mask && mask[i] ? fake : real)[levels[i]]++;
  for (let k = STEPS; k >= 0; k--) {
    fake[k] += fake[k + 1];
    real[k] += real[k + 1];
  }
  return { fake: fake.subarray(1), real: real.subarray(1), fakes: fake[0], pixels: levels.length };
}

// As wsdl.evaluation.metrics.iou (1 where both are empty) and wsdl.evaluation.pixels.f1 (0 without hits).
export function metricsAt(counts, k) {
  const hits = counts.fake[k];
  const alarms = counts.real[k];
  const misses = counts.fakes - hits;
  const union = counts.fakes + alarms;
  return {
    iou: union ? hits / union : 1,
    f1: (2 * hits) / Math.max(2 * hits + alarms + misses, 1),
    area: (hits + alarms) / counts.pixels,
  };
}

// Cache the last `size` results of `make`, by key. `make` returns promises.
function cached(size, make) {
  const results = new Map();
  return (key, ...more) => {
    const found = results.get(key) ?? make(key, ...more);
    results.delete(key);
    results.set(key, found);
    if (results.size > size) results.delete(results.keys().next().value);
    return found;
  };
}

export class State {
  constructor(model) {
    this.model = model;
    this.data = model.get("_data");
    [this.height, this.width] = this.data.size;
    this.count = this.data.images.length;
    this.maps = new Map(this.data.maps); // a Map keeps names in order, even such as "1"
    this.mapNames = [...this.maps.keys()];
    this.hasMasks = this.data.masks.length > 0;
    this.counts = new Map();
    const size = Math.max(CACHED, 4 * this.mapNames.length);
    this.plane = cached(size, (key, packed) => unpackPlane(bytesOf(packed), this.height, this.width));
    this.image = cached(CACHED, (i) => createImageBitmap(new Blob([bytesOf(this.data.images[i])])));
    this.sequence = Array.from({ length: this.count }, (_, i) => i);
  }

  get(name) {
    return this.model.get(name);
  }

  // Changes take effect at once here and are sent to the kernel after a pause.
  set(name, value) {
    if (this.get(name) === value) return;
    this.model.set(name, value);
    clearTimeout(this.saving);
    this.saving = setTimeout(() => this.model.save_changes(), 120);
  }

  level() {
    return Math.round(this.get("threshold") * STEPS);
  }

  mask(i) {
    return this.hasMasks ? this.plane(`mask ${i}`, this.data.masks[i]) : Promise.resolve(null);
  }

  levels(name, i) {
    return this.plane(`map ${name} ${i}`, this.maps.get(name)[i]);
  }

  async countOf(name, i) {
    const key = `${name} ${i}`;
    if (!this.counts.has(key)) {
      this.counts.set(key, countAbove(await this.levels(name, i), await this.mask(i)));
    }
    return this.counts.get(key);
  }

  // Counts of all images for one map: for the mean and for sorting. Pauses to keep the page responsive.
  async countAll(name) {
    for (let i = 0; i < this.count; i++) {
      await this.countOf(name, i);
      if (i % 8 === 7) await new Promise((done) => setTimeout(done));
    }
  }

  metrics(name, i) {
    const counts = this.counts.get(`${name} ${i}`);
    if (!counts) return null;
    const area = this.data.areas?.[name]?.[i][this.level()]; // where it is not that of the pixels shown
    return { ...metricsAt(counts, this.level()), ...(area !== undefined && { area }) };
  }

  // The mean IoU over partial fakes only, as in the paper. A real image has no fake pixel, a full fake no real pixel.
  meanIou(name) {
    let sum = 0;
    let images = 0;
    for (let i = 0; i < this.count; i++) {
      const counts = this.counts.get(`${name} ${i}`);
      if (!counts) return null;
      if (!counts.fakes || counts.fakes === counts.pixels) continue;
      sum += metricsAt(counts, this.level()).iou;
      images++;
    }
    return images ? { mean: sum / images, images } : null;
  }

  score(i, name = this.get("map")) {
    return this.data.scores[name]?.[i];
  }

  orders() {
    const known = [["given", "as given"]];
    if (Object.keys(this.data.scores).length)
      known.push(["score-down", "score, highest first"], ["score-up", "score, lowest first"]);
    if (this.hasMasks) known.push(["iou-down", "IoU, best first"], ["iou-up", "IoU, worst first"]);
    if (this.data.components.length) known.push(["component", "component"]);
    return known;
  }

  // Sort the images; ties keep the given order. Images without the key come last: without score, component, or
  // inpainted region (their IoU is 1 or 0 and does not measure localisation).
  async sort() {
    const name = this.get("map");
    const [what, direction] = this.get("order").split("-");
    if (what === "iou") await this.countAll(name);
    const key = {
      given: (i) => i,
      score: (i) => this.score(i),
      iou: (i) => (this.counts.get(`${name} ${i}`).fakes ? this.metrics(name, i).iou : undefined),
      component: (i) => this.data.components[i] || undefined,
    }[what];
    const sign = direction === "down" ? -1 : 1;
    const keys = Array.from({ length: this.count }, (_, i) => key(i));
    const none = (i) => (keys[i] === undefined ? 1 : 0);
    const compare = (a, b) =>
      none(a) - none(b) || sign * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b;
    this.sequence = Array.from({ length: this.count }, (_, i) => i).sort(compare);
  }

  place() {
    return this.sequence.indexOf(this.get("selected"));
  }

  step(by) {
    const next = Math.min(this.count - 1, Math.max(0, this.place() + by));
    this.set("selected", this.sequence[next]);
  }

  describe(i) {
    const data = this.data;
    return [data.names[i], data.labels[i], data.components[i]].filter(Boolean);
  }
}
