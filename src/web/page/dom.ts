/** Elements made by script. Text only ever becomes text: nothing here takes markup. */

type Child = Node | string | undefined | false;

/** `make('td', 'number', '12')`; strings among the children are text. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  ...children: Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  if (className !== '') element.className = className;
  for (const child of children) if (child !== undefined && child !== false) element.append(child);
  return element;
}

/** Of index.html, so it is there. */
export function find(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element ${id}`);
  return element;
}

/** Sets text only where it differs: a screen reader speaks what changes in a status. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}
