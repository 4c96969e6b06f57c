// Create elements in one call; format numbers.

// element("button", { class: "wx-key", "aria-label": "Next", onclick: f }, "text", child)
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null && child !== false));
  return made;
}

// Hide the still image of a widget that is drawn: a saved notebook shows it where the widget is not (still.py).
// Returns a function that shows it again.
export function hideStill(model, el) {
  const style = element("style", {}, `.wsdl-still-${model.get("_still")} { display: none }`);
  el.append(style);
  return () => style.remove();
}

let idCount = 0;
export function freshId(name) {
  return `wx-${name}-${++idCount}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// Thresholds and opacities: two decimals, three where needed.
export function shortNumber(value) {
  return Math.abs(value * 100 - Math.round(value * 100)) < 1e-6 ? value.toFixed(2) : value.toFixed(3);
}

// The middle of the interval of map values that a level stands for, as level_value in encode.py.
export function levelValue(level) {
  return Math.max(level - 0.5, 0) / 200;
}
