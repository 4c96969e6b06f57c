// The metrics of the image shown, and the mean IoU of its map over all images. Updated at every step of the threshold.

import { element, percent, shortNumber } from "./dom.js";

export class Numbers {
  constructor(state) {
    this.state = state;
    this.root = element("dl", { class: "wx-numbers" });
  }

  refresh() {
    const { state } = this;
    const [name, i] = [state.get("map"), state.get("selected")];
    const metrics = state.metrics(name, i);
    if (!metrics) return;
    const score = state.score(i);
    const mean = state.hasMasks && state.meanIou(name);
    const label = mean && `mean IoU, ${mean.images} partial fake${mean.images > 1 ? "s" : ""}`;
    const rows = [
      state.hasMasks && ["iou", "IoU", percent(metrics.iou), metrics.iou],
      state.hasMasks && ["f1", "F1", percent(metrics.f1), metrics.f1],
      ["area", `above ${shortNumber(state.get("threshold"))}`, percent(metrics.area), metrics.area],
      score !== undefined && ["score", "score", score.toFixed(3), score],
      mean && ["mean", label, percent(mean.mean), mean.mean],
    ];
    this.write(rows.filter(Boolean));
  }

  // The elements are kept; a slider step changes their text only.
  write(rows) {
    const names = rows.map(([name]) => name).join();
    if (this.root.dataset.rows !== names) {
      this.root.dataset.rows = names;
      this.root.replaceChildren(...rows.map(([name]) => this.row(name)));
    }
    rows.forEach(([, heading, text, exact], i) => {
      const [title, value] = this.root.children[i].children;
      title.textContent = heading;
      value.textContent = text;
      value.dataset.exact = exact;
    });
  }

  row(name) {
    return element("div", { class: `wx-number wx-${name}` }, element("dt"), element("dd", { "data-number": name }));
  }
}
