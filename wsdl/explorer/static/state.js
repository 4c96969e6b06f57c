// What is shown, decoded on demand: pictures, maps, masks, the numbers that follow from them, and the order.

export const STEPS = 200; // levels of a map; level > k exactly where the map is > k / STEPS
const KEPT = 48; // decoded planes and pictures that are kept

// Bytes come as DataView from a notebook and as base64 text from a page.
export function bytesOf(value) {
  if (typeof value === "string") return Uint8Array.from(atob(value), (letter) => letter.charCodeAt(0));
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
}

// The inverse of `packed` in encode.py: inflate, then add to each pixel the median of its three predictions.
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

// How many painted and how many real pixels have a level above k, for every k: then any threshold is a look-up.
export function countAbove(levels, mask) {
  const fake = new Uint32Array(STEPS + 2);
  const real = new Uint32Array(STEPS + 2);
  for (let i = 0; i < levels.length; i++) (mask && mask[i] ? fake : real)[levels[i]]++;
  for (let k = STEPS; k >= 0; k--) {
    fake[k] += fake[k + 1];
    real[k] += real[k + 1];
  }
  return { fake: fake.subarray(1), real: real.subarray(1), painted: fake[0], pixels: levels.length };
}

// The definitions of wsdl.metrics.iou (1 where both are empty) and wsdl.pixels.f1 (0 where nothing is hit).
export function judge(counts, k) {
  const hits = counts.fake[k];
  const alarms = counts.real[k];
  const misses = counts.painted - hits;
  const union = counts.painted + alarms;
  return {
    iou: union ? hits / union : 1,
    f1: (2 * hits) / Math.max(2 * hits + alarms + misses, 1),
    area: (hits + alarms) / counts.pixels,
  };
}

// The last `size` results of `make`, by key. `make` gives promises.
function remember(size, make) {
  const kept = new Map();
  return (key, ...more) => {
    const found = kept.get(key) ?? make(key, ...more);
    kept.delete(key);
    kept.set(key, found);
    if (kept.size > size) kept.delete(kept.keys().next().value);
    return found;
  };
}

export class State {
  constructor(model) {
    this.model = model;
    this.data = model.get("_data");
    [this.height, this.width] = this.data.size;
    this.count = this.data.pictures.length;
    this.maps = new Map(this.data.maps); // a Map keeps names in order, even such as "1"
    this.mapNames = [...this.maps.keys()];
    this.hasMasks = this.data.masks.length > 0;
    this.counts = new Map();
    const size = Math.max(KEPT, 4 * this.mapNames.length);
    this.plane = remember(size, (key, packed) => unpackPlane(bytesOf(packed), this.height, this.width));
    this.picture = remember(KEPT, (i) => createImageBitmap(new Blob([bytesOf(this.data.pictures[i])])));
    this.sequence = Array.from({ length: this.count }, (_, i) => i);
  }

  get(name) {
    return this.model.get(name);
  }

  // Changes are seen at once here and sent to the kernel when the hand rests.
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

  // Counts of all pictures for one map: for the mean and for sorting. Lets the page breathe in between.
  async countAll(name) {
    for (let i = 0; i < this.count; i++) {
      await this.countOf(name, i);
      if (i % 8 === 7) await new Promise((done) => setTimeout(done));
    }
  }

  judged(name, i) {
    const counts = this.counts.get(`${name} ${i}`);
    return counts ? judge(counts, this.level()) : null;
  }

  // The paper's mean: over partial fakes only. A real picture has no paint, a full fake no real pixel.
  meanIou(name) {
    let sum = 0;
    let pictures = 0;
    for (let i = 0; i < this.count; i++) {
      const counts = this.counts.get(`${name} ${i}`);
      if (!counts) return null;
      if (!counts.painted || counts.painted === counts.pixels) continue;
      sum += judge(counts, this.level()).iou;
      pictures++;
    }
    return pictures ? { mean: sum / pictures, pictures } : null;
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

  // Pictures in the chosen order; equals stay in the order given. Last those that have none of it: no score, no
  // component, or no paint, where IoU is 1 or 0 and says nothing of how well paint was found.
  async sort() {
    const name = this.get("map");
    const [what, way] = this.get("order").split("-");
    if (what === "iou") await this.countAll(name);
    const key = {
      given: (i) => i,
      score: (i) => this.score(i),
      iou: (i) => (this.counts.get(`${name} ${i}`).painted ? this.judged(name, i).iou : undefined),
      component: (i) => this.data.components[i] || undefined,
    }[what];
    const sign = way === "down" ? -1 : 1;
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
