// The entry for `wsdl.upload`: a drop zone, the detectors, their results.
// Python decides what is shown; this script sends it files, in parts, and clicks.

import { element, freshId, hideStill } from "./dom.js";

const PART_BYTES = 4 << 20; // Jupyter's server refuses messages above 10 MB

class UploadPanel {
  constructor(model) {
    this.model = model;
    this.status = element("p", { class: "wx-message", role: "status" });
    this.problem = element("p", { class: "wx-problem", role: "alert" });
    this.boxes = element("div", { class: "wx-checks" });
    this.results = element("div", { class: "wx-results" });
    this.root = element(
      "div",
      { class: "wsdl-explorer wx-upload", "data-lm-suppress-shortcuts": "true" },
      this.makeDrop(),
      this.makeDetectors(),
      this.status,
      this.problem,
      this.results,
    );
    this.refresh();
  }

  makeDrop() {
    const input = element("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      "aria-label": "Image",
      onchange: () => {
        this.sendFile(input.files);
        input.value = ""; // so that the same file can be chosen again
      },
    });
    const choose = element(
      "button",
      { type: "button", class: "wx-button", onclick: () => input.click() },
      "Choose an image",
    );
    const zone = element(
      "div",
      { class: "wx-drop" },
      element("div", {}, choose, " or drop it here", input),
      element("small", {}, "It is analysed by the kernel of this notebook; nothing is sent elsewhere or written."),
    );
    const over = (event) => {
      event.preventDefault(); // without this the browser would open the file
      event.stopPropagation();
      zone.classList.toggle("wx-over", event.type === "dragover");
    };
    for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) zone.addEventListener(kind, over);
    zone.addEventListener("drop", (event) => this.sendFile(event.dataTransfer.files));
    return zone;
  }

  makeDetectors() {
    const id = freshId("run");
    const input = element("input", { type: "text", id, placeholder: "out/demo/runs/…", spellcheck: "false" });
    const add = () => {
      if (input.value.trim()) this.send({ do: "add", name: input.value.trim() }, `Loading ${input.value.trim()} …`);
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

  send(content, message, buffers = []) {
    this.status.textContent = message;
    this.problem.textContent = "";
    this.root.setAttribute("aria-busy", "true");
    this.model.send(content, undefined, buffers);
  }

  // Send one file, in parts. Of a file above the limit only the size is sent, and Python reports the error.
  async sendFile(files) {
    const file = files[0];
    if (!file) return this.showProblem("No file was dropped; drop the file of one image.");
    const { name, size } = file;
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const end = size > this.model.get("shown").limit ? 0 : size;
    try {
      let at = 0;
      do {
        const part = await file.slice(at, Math.min(at + PART_BYTES, end)).arrayBuffer();
        if (turn !== this.turn) return; // another file was chosen meanwhile
        this.send({ do: "part", name, at, size }, `Analysing ${name} …`, [part]);
        at += PART_BYTES;
      } while (at < end);
    } catch {
      this.showProblem(`${name}: cannot be read; drop the file of one image.`); // such as a folder
    }
  }

  showProblem(message) {
    this.status.textContent = "";
    this.problem.textContent = message;
    this.root.setAttribute("aria-busy", "false");
  }

  refresh() {
    const shown = this.model.get("shown");
    this.root.setAttribute("aria-busy", "false");
    this.status.textContent = shown.results.length ? `Results for ${shown.name}` : "";
    this.problem.textContent = shown.problem;
    this.none.textContent = shown.none;
    this.none.hidden = !shown.none;
    this.refreshBoxes(shown.detectors);
    this.refreshResults(shown);
    this.root.dataset.turn = shown.turn;
  }

  // Boxes are recreated only when their number changes, to keep the focus.
  refreshBoxes(detectors) {
    if (this.boxes.children.length !== detectors.length) this.boxes.replaceChildren(...detectors.map(this.box, this));
    detectors.forEach(({ chosen }, i) => (this.boxes.children[i].firstChild.checked = chosen));
  }

  box({ name }) {
    const tick = () => this.send({ do: "choose", name }, this.results.children.length ? "Analysing …" : "");
    return element("label", { class: "wx-check" }, element("input", { type: "checkbox", onchange: tick }), name);
  }

  refreshResults({ results, warnings }) {
    const rows = results.map(({ name, lines: [first, ...others] }) =>
      element(
        "li",
        {},
        element("span", { class: "wx-title" }, name),
        element("b", {}, first),
        ...others.map((line) => element("small", {}, line)),
      ),
    );
    const caution = "A map is an estimate, valid only for images like those its detector was trained and tested on.";
    const list = (name, items) => items.length > 0 && element("ul", { class: name }, ...items);
    this.results.replaceChildren(
      ...[
        list("wx-rows", rows),
        list(
          "wx-warnings",
          warnings.map((warning) => element("li", {}, warning)),
        ),
        rows.length > 0 && element("small", {}, caution),
      ].filter(Boolean),
    );
  }
}

export default {
  render({ model, el }) {
    const panel = new UploadPanel(model);
    const refresh = () => panel.refresh();
    const stop = (event) => event.stopPropagation(); // JupyterLab has shortcuts on letters
    for (const kind of ["keydown", "keyup"]) el.addEventListener(kind, stop);
    model.on("change:shown", refresh);
    el.append(panel.root);
    const showStill = hideStill(model, el);
    return () => {
      showStill();
      model.off("change:shown", refresh);
      for (const kind of ["keydown", "keyup"]) el.removeEventListener(kind, stop);
      panel.root.remove();
    };
  },
};
