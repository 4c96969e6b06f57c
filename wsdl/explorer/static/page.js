// The entry for a page of its own: choices live in the page, nobody else is told.
const choices = JSON.parse(document.getElementById("data").textContent);
const listeners = {};
const model = {
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
mount({ model, el: document.getElementById("explorer"), keys: document });
