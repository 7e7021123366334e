// Little things about the page's elements. All text is set as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** The element in a `<template>`, as a new one. */
export const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** The part of an element with this `data-testid`. */
export const part = (element, name) => element.querySelector(`[data-testid="${name}"]`);

/** Sets a text, and lets it light up when it was another one before. */
export function write(element, text) {
  if (element.textContent === text) return;
  if (element.textContent !== "") {
    element.classList.remove("fresh");
    // Lets the animation begin again.
    element.getBoundingClientRect();
    element.classList.add("fresh");
  }
  element.textContent = text;
}

/** Makes a list's children those of these entries, `[key, value]`, and leaves alone what is there: somebody may be typing. */
export function keep(list, entries, make, update) {
  const keys = new Set(entries.map(([key]) => key));
  const there = new Map();
  for (const child of [...list.children]) {
    if (keys.has(child.dataset.key)) there.set(child.dataset.key, child);
    else child.remove();
  }
  entries.forEach(([key, value], index) => {
    let child = there.get(key);
    if (!child) {
      child = make(value);
      child.dataset.key = key;
    }
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
    update(child, value);
  });
}
