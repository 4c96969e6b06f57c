// The entry for HTML pages: choices are kept in the page only.
function modelOf(choices) {
  const listeners = {};
  return {
    get: (name) => choices[name],
    set(name, value) {
      if (choices[name] === value) return;
      choices[name] = value;
      for (const listener of listeners[`change:${name}`] ?? []) listener();
    },
    save_changes() {},
    on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
    off: (event, listener) => listeners[event]?.delete(listener),
  };
}
for (const el of document.querySelectorAll(".wsdl-inlined")) {
  const choices = JSON.parse(el.querySelector("script").textContent);
  mount({ model: modelOf(choices), el, keys: el.dataset.keys === "document" ? document : el });
}
