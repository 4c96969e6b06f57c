// The numbers of the picture on show, and the mean of its map over the set. They follow every step of the threshold.

import { element, percent, short } from "./dom.js";

export class Numbers {
  constructor(state) {
    this.state = state;
    this.root = element("dl", { class: "wx-numbers" });
  }

  refresh() {
    const { state } = this;
    const [name, i] = [state.get("map"), state.get("selected")];
    const judged = state.judged(name, i);
    if (!judged) return;
    const score = state.score(i);
    const mean = state.hasMasks && state.meanIou(name);
    const fakes = mean && `mean IoU, ${mean.pictures} partial fake${mean.pictures > 1 ? "s" : ""}`;
    const rows = [
      state.hasMasks && ["iou", "IoU", judged.iou.toFixed(3), judged.iou],
      state.hasMasks && ["f1", "F1", judged.f1.toFixed(3), judged.f1],
      ["area", `above ${short(state.get("threshold"))}`, percent(judged.area), judged.area],
      score !== undefined && ["score", "score", score.toFixed(3), score],
      mean && ["mean", fakes, mean.mean.toFixed(3), mean.mean],
    ];
    this.write(rows.filter(Boolean));
  }

  // The elements stay; a slider step changes text alone.
  write(rows) {
    const names = rows.map(([name]) => name).join();
    if (this.root.dataset.rows !== names) {
      this.root.dataset.rows = names;
      this.root.replaceChildren(...rows.map(([name]) => this.row(name)));
    }
    rows.forEach(([, label, text, exact], i) => {
      const [title, value] = this.root.children[i].children;
      title.textContent = label;
      value.textContent = text;
      value.dataset.exact = exact;
    });
  }

  row(name) {
    return element("div", { class: `wx-number wx-${name}` }, element("dt"), element("dd", { "data-number": name }));
  }
}
