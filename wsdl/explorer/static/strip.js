// The set as a strip of small pictures: one stop for the Tab key, arrows move inside.

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
      "aria-label": "All pictures",
      "aria-orientation": "horizontal",
    });
    this.arrange();
  }

  makeItem(i) {
    const url = URL.createObjectURL(new Blob([bytesOf(this.state.data.pictures[i])]));
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

  // The chosen picture is the strip's one tab stop; it is scrolled to inside the strip alone, never the page.
  mark() {
    this.state.sequence.forEach((i, place) => {
      const item = this.items[i];
      const chosen = i === this.state.get("selected");
      item.tabIndex = chosen ? 0 : -1;
      item.setAttribute("aria-selected", chosen);
      const words = [`picture ${place + 1} of ${this.state.count}`, ...this.state.describe(i)].join(", ");
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
