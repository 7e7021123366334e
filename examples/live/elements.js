// Functions for the elements of the page. All text is set as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Returns a copy of the element in a `<template>`. */
export const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Returns the part of an element with this `data-testid`. */
export const part = (element, name) => element.querySelector(`[data-testid="${name}"]`);

/** Sets a text, and highlights it if it replaces another text. */
export function write(element, text) {
  if (element.textContent === text) return;
  if (element.textContent !== "") {
    element.classList.remove("fresh");
    // Forces a layout, so that the animation starts again.
    element.getBoundingClientRect();
    element.classList.add("fresh");
  }
  element.textContent = text;
}

/** Updates the children of a list to these entries (`[key, value]`). Existing children stay: the user may be typing in them. */
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
