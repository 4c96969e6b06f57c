// Keyboard shortcuts and the dialog that lists them.

import { element, freshId } from "./dom.js";

export const KEYS = [
  ["← →", "previous, next image"],
  ["Home End", "first, last image"],
  ["o", "hold: the image without its map"],
  ["[ ]", "threshold down, up"],
  ["- +", "opacity down, up"],
  ["1 … 9", "choose a map"],
  ["v", "next view: overlay, wipe, side by side, all maps"],
  ["w W", "wipe to the left, to the right"],
  ["m", "outline of the true mask on, off"],
  ["g", "grey image on, off"],
  ["c", "next colour map"],
  ["s", "next order"],
  ["Shift + arrow", "move the cursor by a pixel"],
  ["?", "this help"],
];

export function helpDialog() {
  const title = freshId("help");
  const rows = KEYS.map(([keys, words]) => {
    const caps = keys
      .split(" ")
      .map((key) => (key === "+" && keys.startsWith("Shift") ? " + " : element("kbd", {}, key)));
    return element("div", {}, element("dt", {}, ...caps), element("dd", {}, words));
  });
  const close = element("button", { type: "button", class: "wx-button", onclick: () => dialog.close() }, "Close");
  const dialog = element(
    "dialog",
    { class: "wx-help", "aria-labelledby": title },
    element("h2", { id: title }, "Keys"),
    element("dl", {}, ...rows),
    close,
  );
  return dialog;
}

// The action of a key; false for keys that are not used.
function actionOf(key, { state, stage, controls, help }) {
  const change = (name, by) => state.set(name, Math.round(Math.min(1, Math.max(0, state.get(name) + by)) * 200) / 200);
  const toggle = (name) => state.set(name, !state.get(name));
  const next = (name, words) => state.set(name, words[(words.indexOf(state.get(name)) + 1) % words.length]);
  const actions = {
    ArrowLeft: () => state.step(-1),
    ArrowRight: () => state.step(1),
    Home: () => state.step(-state.count),
    End: () => state.step(state.count),
    "[": () => change("threshold", -0.01),
    "]": () => change("threshold", 0.01),
    "-": () => change("opacity", -0.05),
    "+": () => change("opacity", 0.05),
    "=": () => change("opacity", 0.05),
    v: () => next("mode", controls.modes),
    w: () => stage.onWipe(Math.max(0, stage.split - 0.05)),
    W: () => stage.onWipe(Math.min(1, stage.split + 0.05)),
    m: () => toggle("truth"),
    g: () => toggle("grey"),
    c: () => next("colours", Object.keys(state.data.palettes)),
    s: () =>
      next(
        "order",
        state.orders().map(([word]) => word),
      ),
    "?": () => help.showModal(),
  };
  if (/^[1-9]$/.test(key) && state.mapNames[key - 1]) return () => state.set("map", state.mapNames[key - 1]);
  return actions[key] ?? false;
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Sliders, lists and text fields handle some keys themselves.
function isHandledByTarget(event) {
  const { tagName, type, isContentEditable } = event.target;
  if (isContentEditable || tagName === "TEXTAREA" || type === "text" || type === "search") return true;
  if (tagName === "INPUT" && type === "range") return /^(Arrow|Home|End|Page)/.test(event.key);
  return tagName === "SELECT" && event.key !== "?";
}

// JupyterLab has shortcuts on the same keys, so key events inside the explorer are not passed on.
export function listenToKeys(target, parts) {
  const { stage, help } = parts;
  const down = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (isHandledByTarget(event)) return;
    if (event.key === "o") return hold(true, event);
    const move = event.shiftKey && MOVES[event.key];
    const action = move ? () => stage.nudge(...move) : actionOf(event.key, parts);
    if (!action) return;
    event.preventDefault();
    action();
  };
  const hold = (on, event) => {
    if (stage.holding === on) return;
    stage.holding = on;
    event?.preventDefault();
    stage.draw();
  };
  const up = (event) => event.key === "o" && hold(false, event);
  const away = () => hold(false);
  target.addEventListener("keydown", down);
  target.addEventListener("keyup", up);
  target.addEventListener("focusout", away);
  window.addEventListener("blur", away);
  return () => {
    target.removeEventListener("keydown", down);
    target.removeEventListener("keyup", up);
    target.removeEventListener("focusout", away);
    window.removeEventListener("blur", away);
  };
}
