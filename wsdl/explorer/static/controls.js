// Everything around the panels: the header, the threshold with its colour bar, the choices.

import { element, freshId, shortNumber } from "./dom.js";
import { drawBar } from "./draw.js";
import { Numbers } from "./numbers.js";

const MODES = [
  ["overlay", "Overlay"],
  ["wipe", "Wipe"],
  ["side", "Side by side"],
  ["maps", "All maps"],
];

export class Controls {
  constructor(state, stage, help) {
    this.state = state;
    this.stage = stage;
    this.sliders = {};
    this.modes = MODES.map(([word]) => word).filter((word) => word !== "maps" || state.mapNames.length > 1);
    this.head = this.makeHead(help);
    this.scale = this.makeScale();
    this.numbers = new Numbers(state);
    this.side = element("div", { class: "wx-side" }, this.numbers.root, ...this.makeChoices());
    stage.onWipe = (share) => {
      stage.split = share;
      this.wipe.value = share;
      stage.draw();
    };
  }

  button(text, name, onclick, more = {}) {
    return element(
      "button",
      { type: "button", class: "wx-button", "aria-label": name, title: name, onclick, ...more },
      text,
    );
  }

  makeHead(help) {
    this.position = element("span", { class: "wx-position" });
    this.about = element("span", { class: "wx-about" });
    const status = element("div", { class: "wx-status", role: "status" }, this.position, this.about);
    this.back = this.button("‹", "Previous image", () => this.state.step(-1), { "aria-keyshortcuts": "ArrowLeft" });
    this.on = this.button("›", "Next image", () => this.state.step(1), { "aria-keyshortcuts": "ArrowRight" });
    const ask = this.button("?", "Keyboard help", () => help.showModal(), { "aria-keyshortcuts": "?" });
    return element("div", { class: "wx-head" }, this.back, this.on, status, ask);
  }

  slider(name, label, more = {}) {
    const id = freshId(name);
    const input = element("input", {
      type: "range",
      id,
      min: 0,
      max: 1,
      step: 0.005,
      "data-trait": name,
      oninput: () => this.state.set(name, Number(input.value)),
      ...more,
    });
    const output = element("output", { for: id });
    this.sliders[name] = { input, output };
    return { input, label: element("label", { for: id }, label), output };
  }

  // The slider is aligned with the colour bar below it: its knob is at the colour of the threshold.
  makeScale() {
    const { input, label, output } = this.slider("threshold", "Threshold", { "aria-keyshortcuts": "[ ]" });
    this.bar = element("canvas", {
      class: "wx-bar",
      role: "img",
      "aria-label": "Colour bar: map from 0, real, to 1, fake; the same for all images",
    });
    this.marker = element("div", { class: "wx-marker" });
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => {
      const words = value === 0 ? "0 real" : value === 1 ? "1 fake" : String(value);
      return element("span", { style: `left:${100 * value}%` }, words);
    });
    this.legend = element("span", { class: "wx-legend" });
    this.readout = element("div", { class: "wx-readout", "data-role": "readout" });
    return element(
      "div",
      { class: "wx-scale" },
      element("div", { class: "wx-row" }, label, output, this.legend),
      input,
      element(
        "div",
        { class: "wx-track" },
        this.bar,
        this.marker,
        element("div", { class: "wx-ticks", "aria-hidden": "true" }, ...ticks),
      ),
      this.readout,
    );
  }

  select(name, label, options, keys) {
    const id = freshId(name);
    const list = element(
      "select",
      { id, "data-trait": name, "aria-keyshortcuts": keys, onchange: () => this.state.set(name, list.value) },
      ...options.map(([value, words]) => element("option", { value }, words)),
    );
    this[name] = list;
    return element("div", { class: "wx-field" }, element("label", { for: id }, label), list);
  }

  check(name, label, keys) {
    const box = element("input", {
      type: "checkbox",
      "data-trait": name,
      "aria-keyshortcuts": keys,
      onchange: () => this.state.set(name, box.checked),
    });
    this[name] = box;
    return element("label", { class: "wx-check" }, box, label);
  }

  makeChoices() {
    const { state } = this;
    const twin = (name) => [name, name];
    this.views = this.modes.map((word) => {
      const label = MODES.find(([mode]) => mode === word)[1];
      return element("button", { type: "button", "data-mode": word, onclick: () => state.set("mode", word) }, label);
    });
    const opacity = this.slider("opacity", "Opacity", { "aria-keyshortcuts": "- +" });
    this.wipe = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.005,
      value: 0.5,
      "aria-label": "Wipe: where the image ends and the map begins",
      oninput: () => this.stage.onWipe(Number(this.wipe.value)),
    });
    this.wipeField = element("div", { class: "wx-field" }, element("span", { class: "wx-label" }, "Wipe"), this.wipe);
    return [
      this.select("map", "Map", state.mapNames.map(twin), "1 2 3"),
      element(
        "div",
        { class: "wx-views", role: "group", "aria-label": "View", "aria-keyshortcuts": "v" },
        ...this.views,
      ),
      this.wipeField,
      element(
        "div",
        { class: "wx-field" },
        element("div", { class: "wx-row" }, opacity.label, opacity.output),
        opacity.input,
      ),
      this.select("colours", "Colours", Object.keys(state.data.palettes).map(twin), "c"),
      element(
        "div",
        { class: "wx-checks" },
        this.check("grey", "Grey image", "g"),
        state.hasMasks && this.check("truth", "True mask", "m"),
      ),
      state.count > 1 && this.select("order", "Order", state.orders(), "s"),
    ];
  }

  // Show the current choices, whether set here or in Python.
  refresh() {
    const { state } = this;
    for (const [name, { input, output }] of Object.entries(this.sliders)) {
      input.value = state.get(name);
      output.textContent = shortNumber(state.get(name));
      input.setAttribute("aria-valuetext", output.textContent);
      input.style.setProperty("--at", state.get(name));
    }
    for (const name of ["map", "colours", "order"]) if (this[name]) this[name].value = state.get(name);
    for (const name of ["grey", "truth"]) if (this[name]) this[name].checked = state.get(name);
    for (const view of this.views) view.setAttribute("aria-pressed", view.dataset.mode === state.get("mode"));
    this.wipeField.hidden = state.get("mode") !== "wipe";
    this.marker.style.left = `${100 * state.get("threshold")}%`;
    this.refreshHead();
    this.refreshLegend();
    this.numbers.refresh();
  }

  colour() {
    drawBar(this.bar, this.stage.table);
  }

  refreshHead() {
    const { state } = this;
    const place = state.place();
    this.position.textContent = `${place + 1} of ${state.count}`;
    this.about.textContent = state.describe(state.get("selected")).join(" · ");
    this.back.setAttribute("aria-disabled", place === 0);
    this.on.setAttribute("aria-disabled", place === state.count - 1);
  }

  refreshLegend() {
    const line = (kind, words) => element("span", { class: `wx-line wx-${kind}` }, words);
    const shown = this.state.hasMasks && this.state.get("truth");
    if (this.legend.dataset.shown === `${shown}`) return;
    this.legend.replaceChildren(line("found", "map above it"), ...(shown ? [line("true", "true mask")] : []));
    this.legend.dataset.shown = shown;
  }

  point() {
    const under = this.stage.under();
    const map = this.state.get("map");
    if (!under) this.readout.textContent = "Point at the image to read the map.";
    else {
      const truth = under.fake === null ? "" : under.fake ? " · inpainted" : " · real";
      this.readout.textContent = `x ${under.x}, y ${under.y} · ${map} ${under.values[map].toFixed(2)}${truth}`;
    }
  }
}
