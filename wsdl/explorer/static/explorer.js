// An explorer in an element: what is redrawn when a choice changes.

import { element } from "./dom.js";
import { State } from "./state.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { Controls } from "./controls.js";
import { helpDialog, listenToKeys } from "./help.js";

const CHOICES = ["selected", "threshold", "map", "opacity", "colours", "grey", "truth", "mode", "order"];
const SORT_DELAY = 400; // ms without a step of the threshold, before images sorted by IoU are reordered

// `model` has get, set, save_changes, on and off, like anywidget's; `keys` is the element whose key events are handled.
export function mount({ model, el, keys = el }) {
  const state = new State(model);
  const stage = new Stage(state, () => {
    stage.caption();
    controls.point();
  });
  const help = helpDialog();
  const controls = new Controls(state, stage, help);
  const strip = new Strip(state);
  const main = element("div", { class: "wx-main" }, stage.root, controls.scale, state.count > 1 && strip.root);
  const body = element("div", { class: "wx-body" }, controls.head, main, controls.side);
  const root = element("div", { class: "wsdl-explorer", "data-lm-suppress-shortcuts": "true" }, body, help);
  el.append(root);

  const write = () => {
    controls.refresh();
    stage.caption();
  };
  const draw = () => {
    stage.draw();
    write();
  };
  const load = async () => {
    write();
    if (!(await stage.load())) return;
    controls.colour();
    write();
    controls.point();
  };
  const sort = async () => {
    await state.sort();
    strip.arrange();
    write();
  };
  const count = async () => {
    await state.countAll(state.get("map"));
    write();
  };
  let sortTimer;
  const sortLater = () => {
    clearTimeout(sortTimer);
    if (state.get("order").startsWith("iou")) sortTimer = setTimeout(sort, SORT_DELAY);
  };
  const recolour = () => {
    stage.recolour();
    controls.colour();
    draw();
  };
  const changes = {
    selected: () => {
      strip.mark();
      return load();
    },
    threshold: () => {
      stage.drawOutlines();
      write();
      sortLater();
    },
    map: () => Promise.all([load(), state.get("order") === "given" ? null : sort(), count()]),
    mode: load,
    order: sort,
    opacity: recolour,
    colours: recolour,
    grey: draw,
    truth: draw,
  };
  for (const name of CHOICES) model.on(`change:${name}`, changes[name]);
  const stopListening = listenToKeys(keys, { state, stage, controls, help });
  const stop = (event) => event.stopPropagation();
  if (keys === el) for (const kind of ["keydown", "keyup"]) el.addEventListener(kind, stop);

  // Tests wait for data-ready: everything is loaded then.
  load()
    .then(sort)
    .then(count)
    .then(() => root.setAttribute("data-ready", ""));

  return () => {
    for (const name of CHOICES) model.off(`change:${name}`, changes[name]);
    stopListening();
    strip.close();
    root.remove();
  };
}
