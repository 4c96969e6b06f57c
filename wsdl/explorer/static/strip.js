// All images as a strip of thumbnails: one stop for the Tab key; arrow keys move within it.

import { element } from "./dom.js";
import { bytesOf } from "./state.js";

export class Strip {
  constructor(state) {
    this.state = state;
    this.urls = [];
    this.items = Array.from({ length: state.count }, (_, i) => this.makeItem(i));
    this.root = element("div", {
      class: "wx-strip",
      role: "listbox",
      "aria-label": "All images",
      "aria-orientation": "horizontal",
    });
    this.arrange();
  }

  makeItem(i) {
    const url = URL.createObjectURL(new Blob([bytesOf(this.state.data.images[i])]));
    this.urls.push(url);
    const image = element("img", { src: url, alt: "", loading: "lazy", draggable: "false" });
    return element(
      "button",
      { class: "wx-thumb", type: "button", role: "option", onclick: () => this.state.set("selected", i) },
      image,
    );
  }

  arrange() {
    this.root.replaceChildren(...this.state.sequence.map((i) => this.items[i]));
    this.mark();
  }

  // The chosen image is the only tab stop; the strip scrolls to it, the page does not.
  mark() {
    this.state.sequence.forEach((i, place) => {
      const item = this.items[i];
      const chosen = i === this.state.get("selected");
      item.tabIndex = chosen ? 0 : -1;
      item.setAttribute("aria-selected", chosen);
      const words = [`image ${place + 1} of ${this.state.count}`, ...this.state.describe(i)].join(", ");
      item.setAttribute("aria-label", words);
      item.title = words;
      if (!chosen) return;
      const middle = item.offsetLeft - this.root.offsetLeft - (this.root.clientWidth - item.offsetWidth) / 2;
      this.root.scrollLeft = middle;
      if (this.root.contains(document.activeElement)) item.focus({ preventScroll: true });
    });
  }

  close() {
    this.urls.forEach((url) => URL.revokeObjectURL(url));
  }
}
