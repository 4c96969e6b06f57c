// The panels: which are shown, what is drawn in each, their shared cursor, the wipe.

import { element, levelValue, percent } from "./dom.js";
import { bytesOf } from "./state.js";
import { ColourTable, Panel, enlargement, enlargeImage } from "./draw.js";

const TRACKS = { 1: "minmax(0, 560px)", 2: "repeat(2, minmax(0, 1fr))", 4: "repeat(2, minmax(0, 300px))" }; // by panels
const HINT = "Images. Left and right arrow: previous and next image. Shift with an arrow: move the cursor.";

export class Stage {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed; // called when the cursor has moved
    this.table = new ColourTable();
    this.split = 0.5;
    this.enlarged = new Map();
    this.root = element("div", { class: "wx-stage", role: "group", tabindex: "0", "aria-label": HINT });
    this.layout();
  }

  // The panels of the chosen view, in reading order.
  wanted() {
    const name = this.state.get("map");
    const mode = this.state.get("mode");
    if (mode === "side") return [{}, { name }, ...(this.state.hasMasks ? [{ mask: true }] : [])];
    if (mode === "maps") return [{}, ...this.state.mapNames.map((other) => ({ name: other }))];
    return [{ name }];
  }

  // Panels are recreated only when their number or kind changes, so that changing the map does not flicker.
  layout() {
    const wanted = this.wanted();
    const alike = (spec, i) => !spec.name === !this.panels[i].name && spec.mask === this.panels[i].mask;
    if (this.panels?.length === wanted.length && wanted.every(alike)) {
      wanted.forEach((spec, i) => this.rename(this.panels[i], spec));
      return;
    }
    const scale = enlargement(this.state.width, this.state.height, wanted.length);
    if (scale !== this.scale) this.enlarged.clear();
    this.scale = scale;
    this.ready = null; // decoded images may have another size
    this.panels = wanted.map((spec) => this.makePanel(spec));
    this.root.replaceChildren(...this.panels.map((panel) => panel.figure));
    this.root.classList.toggle("wx-many", wanted.length > 1);
    this.root.style.setProperty("--tracks", TRACKS[wanted.length] ?? "repeat(3, minmax(0, 1fr))");
  }

  rename(panel, spec) {
    if (panel.name === spec.name) return;
    panel.name = panel.title = panel.heading.textContent = spec.name;
    this.ready = null; // its levels are not decoded yet
  }

  makePanel(spec) {
    const canvas = element("canvas", { role: "img" });
    const cursor = element("div", { class: "wx-cursor", hidden: true });
    const line = element("div", { class: "wx-wipe", hidden: true });
    const frame = element("div", { class: "wx-frame" }, canvas, line, cursor);
    const title = spec.name ?? (spec.mask ? "true mask" : "image");
    const value = element("span", { class: "wx-value" });
    const heading = element("span", { class: "wx-title" }, title);
    const caption = element("figcaption", {}, heading, value);
    const figure = element("figure", { class: "wx-panel" }, frame, caption);
    frame.addEventListener("pointermove", (event) => this.pointed(event, canvas));
    frame.addEventListener("pointerdown", (event) => {
      if (this.wiping()) frame.setPointerCapture(event.pointerId); // the wipe follows the pointer beyond the edge
      this.pointed(event, canvas);
    });
    frame.addEventListener("pointerleave", () => this.moveCursor(null));
    const panel = new Panel(canvas, this.state.width, this.state.height, this.scale);
    return { ...spec, title, heading, panel, canvas, cursor, line, value, figure };
  }

  pointed(event, canvas) {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (event.buttons && this.wiping()) this.onWipe(Math.min(1, Math.max(0, x)));
    const inside = (part, length) => Math.min(length - 1, Math.max(0, Math.floor(part * length)));
    this.moveCursor({ x: inside(x, this.state.width), y: inside(y, this.state.height) });
  }

  moveCursor(cursor) {
    this.cursor = cursor;
    const { width, height } = this.state;
    for (const panel of this.panels) {
      panel.cursor.hidden = !cursor;
      if (!cursor) continue;
      panel.cursor.style.left = `${(100 * (cursor.x + 0.5)) / width}%`;
      panel.cursor.style.top = `${(100 * (cursor.y + 0.5)) / height}%`;
    }
    this.changed();
  }

  // Move the cursor by one pixel, at first from the middle of the image.
  nudge(dx, dy) {
    const { width, height } = this.state;
    const from = this.cursor ?? { x: width >> 1, y: height >> 1 };
    const inside = (value, length) => Math.min(length - 1, Math.max(0, value));
    this.moveCursor({ x: inside(from.x + dx, width), y: inside(from.y + dy, height) });
  }

  // The value of each map under the cursor, and whether the true mask contains it.
  under() {
    if (!this.cursor || !this.ready) return null;
    const i = this.cursor.y * this.state.width + this.cursor.x;
    const values = Object.fromEntries(
      Object.entries(this.ready.levels).map(([name, all]) => [name, levelValue(all[i])]),
    );
    return { ...this.cursor, values, fake: this.ready.mask ? this.ready.mask[i] === 1 : null };
  }

  // Decode what the panels need. Only the last call draws, in whatever order the decoders finish.
  async load() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const i = this.state.get("selected");
    this.layout();
    const names = [...new Set([this.state.get("map"), ...this.panels.map((panel) => panel.name).filter(Boolean)])];
    const [image, mask, ...planes] = await Promise.all([
      this.enlargedImage(i),
      this.state.mask(i),
      ...names.map((name) => this.state.levels(name, i)),
      ...names.map((name) => this.state.countOf(name, i)),
    ]);
    if (turn !== this.turn) return false;
    const levels = Object.fromEntries(names.map((name, n) => [name, planes[n]]));
    this.ready = { image, mask, levels, i };
    this.recolour();
    this.draw();
    return true;
  }

  async enlargedImage(i) {
    if (!this.enlarged.has(i)) {
      const bitmap = await this.state.image(i);
      this.enlarged.set(i, enlargeImage(bitmap, this.state.width, this.state.height, this.scale));
      if (this.enlarged.size > 12) this.enlarged.delete(this.enlarged.keys().next().value);
    }
    return this.enlarged.get(i);
  }

  recolour() {
    this.table.fill(bytesOf(this.state.data.palettes[this.state.get("colours")]), this.state.get("opacity"));
  }

  // Redraw everything, for another image, map, colour or opacity.
  draw() {
    if (!this.ready) return;
    for (const panel of this.panels) this.drawUnder(panel);
    this.drawOutlines();
  }

  drawUnder({ name, mask, panel, line }) {
    const { image, levels, mask: truth } = this.ready;
    line.hidden = !this.wiping();
    line.style.left = `${100 * this.split}%`;
    if (mask) return panel.tint(image, truth);
    if (!name || this.holding) return panel.original(image);
    panel.blend(image, levels[name], this.table, this.state.get("grey"), this.splitAt(panel));
    if (truth && this.state.get("truth")) panel.outlineMask(truth, this.splitAt(panel));
  }

  // Redraw the outlines, for another threshold.
  drawOutlines() {
    if (!this.ready) return;
    const k = this.state.level();
    for (const { name, panel } of this.panels) {
      panel.show(this.holding ? null : this.ready.levels[name], k, this.splitAt(panel));
    }
  }

  wiping() {
    return this.state.get("mode") === "wipe";
  }

  splitAt(panel) {
    return this.wiping() ? Math.round(this.split * panel.width * panel.scale) : 0;
  }

  // Captions, and descriptions for screen readers.
  caption() {
    if (!this.ready) return;
    const under = this.under();
    const { i } = this.ready;
    for (const { name, mask, title, value, canvas, figure } of this.panels) {
      figure.classList.toggle("wx-chosen", name === this.state.get("map"));
      const metrics = name && this.state.hasMasks ? this.state.metrics(name, i) : null;
      const iou = metrics ? `IoU ${percent(metrics.iou)}` : "";
      const here = under && name in under.values ? under.values[name].toFixed(2) : "";
      const truth = under && mask ? (under.fake ? "inpainted" : "real") : "";
      value.textContent = here || truth || iou;
      const over = name ? ` under the map ${name}` : mask ? " with its inpainted region" : "";
      canvas.setAttribute(
        "aria-label",
        `Image ${this.state.place() + 1} of ${this.state.count}${over}. ${iou}`.trim(),
      );
      canvas.dataset.panel = title;
    }
  }
}
