// The entry for `wsdl.upload`: where to drop a picture, which detectors judge it, what they say.
// Python decides what is shown; from here it is told of files, in parts, and of clicks.

import { element, freshId } from "./dom.js";

const PART = 4 << 20; // bytes: Jupyter's server takes no message above 10 MB

class Own {
  constructor(model) {
    this.model = model;
    this.status = element("p", { class: "wx-say", role: "status" });
    this.problem = element("p", { class: "wx-problem", role: "alert" });
    this.boxes = element("div", { class: "wx-checks" });
    this.found = element("div", { class: "wx-judged" });
    this.root = element(
      "div",
      { class: "wsdl-explorer wx-own", "data-lm-suppress-shortcuts": "true" },
      this.makeDrop(),
      this.makeDetectors(),
      this.status,
      this.problem,
      this.found,
    );
    this.refresh();
  }

  makeDrop() {
    const input = element("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      "aria-label": "Picture",
      onchange: () => {
        this.hand(input.files);
        input.value = ""; // so that the same file can be chosen again
      },
    });
    const choose = element(
      "button",
      { type: "button", class: "wx-button", onclick: () => input.click() },
      "Choose a picture",
    );
    const zone = element(
      "div",
      { class: "wx-drop" },
      element("div", {}, choose, " or drop it here", input),
      element("small", {}, "It is judged by this notebook's kernel. Nothing is sent elsewhere, nothing is written."),
    );
    const over = (event) => {
      event.preventDefault(); // without this the browser would open the file
      event.stopPropagation();
      zone.classList.toggle("wx-over", event.type === "dragover");
    };
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) zone.addEventListener(kind, over);
    zone.addEventListener("drop", (event) => this.hand(event.dataTransfer.files));
    return zone;
  }

  makeDetectors() {
    const id = freshId("run");
    const input = element("input", { type: "text", id, placeholder: "out/demo/runs/…", spellcheck: "false" });
    const add = () => {
      if (input.value.trim()) this.tell({ do: "add", name: input.value.trim() }, `Loading ${input.value.trim()} …`);
      input.value = "";
    };
    input.addEventListener("keydown", (event) => event.key === "Enter" && add());
    this.none = element("p", { class: "wx-none" });
    return element(
      "fieldset",
      { class: "wx-detectors" },
      element("legend", {}, "Detectors"),
      this.none,
      this.boxes,
      element(
        "div",
        { class: "wx-add" },
        element("label", { for: id }, "Run folder of another"),
        input,
        element("button", { type: "button", class: "wx-button", onclick: add }, "Add"),
      ),
    );
  }

  tell(content, words, buffers = []) {
    this.status.textContent = words;
    this.problem.textContent = "";
    this.root.setAttribute("aria-busy", "true");
    this.model.send(content, undefined, buffers);
  }

  // One picture, in parts. Of a file above the limit nothing is sent but its size: Python says the sentence.
  async hand(files) {
    const file = files[0];
    if (!file) return this.complain("No file came; drop the file of one picture.");
    const { name, size } = file;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const end = size > this.model.get("shown").limit ? 0 : size;
    try {
      let at = 0;
      do {
        const part = await file.slice(at, Math.min(at + PART, end)).arrayBuffer();
        if (turn !== this.turn) return; // another file has overtaken it
        this.tell({ do: "part", name, at, size }, `Judging ${name} …`, [part]);
        at += PART;
      } while (at < end);
    } catch {
      this.complain(`${name}: cannot be read; drop the file of one picture.`); // a folder, say
    }
  }

  complain(words) {
    this.status.textContent = "";
    this.problem.textContent = words;
    this.root.setAttribute("aria-busy", "false");
  }

  refresh() {
    const shown = this.model.get("shown");
    this.root.setAttribute("aria-busy", "false");
    this.status.textContent = shown.found.length ? `${shown.name}, as detectors see it` : "";
    this.problem.textContent = shown.problem;
    this.none.textContent = shown.none;
    this.none.hidden = !shown.none;
    this.refreshBoxes(shown.detectors);
    this.refreshFound(shown);
    this.root.dataset.turn = shown.turn;
  }

  // Boxes are made anew only where there are others, so that the focus stays.
  refreshBoxes(detectors) {
    if (this.boxes.children.length !== detectors.length) this.boxes.replaceChildren(...detectors.map(this.box, this));
    detectors.forEach(({ chosen }, i) => (this.boxes.children[i].firstChild.checked = chosen));
  }

  box({ name }) {
    const tick = () => this.tell({ do: "choose", name }, this.found.children.length ? "Judging …" : "");
    return element("label", { class: "wx-check" }, element("input", { type: "checkbox", onchange: tick }), name);
  }

  refreshFound({ found, warnings }) {
    const numbers = ({ score, painted }) =>
      element("span", {}, element("b", {}, `score ${score}`), ` · ${painted} painted`);
    const rows = found.map((one) =>
      element(
        "li",
        {},
        element("span", { class: "wx-title" }, one.name),
        numbers(one),
        element("small", {}, one.about),
      ),
    );
    const trust = "A map is a guess, good only for pictures like those that its detector was trained and measured on.";
    const list = (name, items) => items.length > 0 && element("ul", { class: name }, ...items);
    this.found.replaceChildren(
      ...[
        list("wx-rows", rows),
        list(
          "wx-warnings",
          warnings.map((words) => element("li", {}, words)),
        ),
        rows.length > 0 && element("small", {}, trust),
      ].filter(Boolean),
    );
  }
}

export default {
  render({ model, el }) {
    const own = new Own(model);
    const refresh = () => own.refresh();
    const stop = (event) => event.stopPropagation(); // JupyterLab has shortcuts on letters
    for (const kind of ["keydown", "keyup"]) el.addEventListener(kind, stop);
    model.on("change:shown", refresh);
    el.append(own.root);
    return () => {
      model.off("change:shown", refresh);
      for (const kind of ["keydown", "keyup"]) el.removeEventListener(kind, stop);
      own.root.remove();
    };
  },
};
