/**
 * A table of any length of which only the rows in sight are in the document.
 *
 * Rows have one height, so where each is follows from its number. The keyboard goes through all of them (arrows, Page,
 * Home, End); a screen reader is told how many there are and which this is.
 */
import { make } from './dom.js';

export interface Column<Row> {
  id: string;
  title: string;
  className?: string;
  /** What the column is sorted by; without it it is not. */
  sortBy?: (row: Row) => string | number;
  render: (cell: HTMLTableCellElement, row: Row) => void;
}

export interface TableOptions<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  keyOf: (row: Row) => string | number;
  /** Text for a row that has no columns. */
  spanning?: (row: Row) => string | undefined;
  /** Enter, or a click. */
  onOpen?: (row: Row) => void;
  classOf?: (row: Row) => string;
  onSort?: () => void;
  sort?: Sort;
}

export interface Sort {
  id: string;
  descending: boolean;
}

export interface VirtualTable<Row> {
  element: HTMLElement;
  /** Keeps in sight what is in sight, unless that is the first row. `emptyText`: what to say without rows. */
  setRows(rows: readonly Row[], emptyText: string): void;
  sorted(rows: readonly Row[]): readonly Row[];
  select(key: string | number | undefined): void;
  focusRow(key: string | number): void;
}

interface Slot<Row> {
  element: HTMLTableRowElement;
  row: Row | undefined;
  index: number;
}

const OVERSCAN = 6;

export function createVirtualTable<Row>(options: TableOptions<Row>): VirtualTable<Row> {
  const { columns, keyOf } = options;
  let rows: readonly Row[] = [];
  let active = 0;
  let selected: string | number | undefined;
  let rowHeight = 0;
  let frame = 0;
  let sort = options.sort;
  // Of the columns that this width has room for.
  let span = columns.length;
  let unseen: string | number | undefined;
  const slots: Slot<Row>[] = [];

  const above = spacer();
  const below = spacer();
  const body = make('tbody');
  const headers = columns.map((column) => headerCell(column));
  const head = make('thead', '', make('tr', '', ...headers));
  const caption = make('caption', 'unseen', options.caption);
  const table = make('table', '', caption, head, body);
  const empty = make('p', 'empty');
  const element = make('div', 'scroller', table, empty);
  element.tabIndex = 0;
  element.setAttribute('role', 'region');
  element.setAttribute('aria-label', options.caption);
  body.append(above.row, below.row);
  element.addEventListener('scroll', schedule, { passive: true });
  new ResizeObserver(() => {
    rowHeight = 0;
    fitColumns();
    schedule();
  }).observe(element);
  body.addEventListener('click', ({ target }) => {
    const slot = slotOf(target);
    if (slot?.row === undefined || String(getSelection() ?? '') !== '') return;
    active = slot.index;
    open(slot.row);
  });
  element.addEventListener('keydown', onKey);
  showSort();

  return {
    element,
    setRows(next, emptyText) {
      const top = heightOfRow() > 0 ? Math.floor(element.scrollTop / heightOfRow()) : 0;
      const anchor = element.scrollTop > 0 ? rows[top] : undefined;
      const focused = hasFocus() ? rows[active] : undefined;
      rows = next;
      table.setAttribute('aria-rowcount', String(rows.length + 1));
      empty.textContent = rows.length === 0 ? emptyText : '';
      empty.hidden = rows.length > 0;
      active = indexOf(focused, Math.min(active, Math.max(0, rows.length - 1)));
      const at = indexOf(anchor, -1);
      if (at !== -1 && at !== top) {
        layOut(at);
        element.scrollTop += (at - top) * heightOfRow();
      }
      reveal();
      render();
    },
    sorted(given) {
      const column = columns.find(({ id }) => id === sort?.id);
      const by = column?.sortBy;
      if (!by || !sort) return given;
      const sign = sort.descending ? -1 : 1;
      return given
        .map((row) => ({ row, key: by(row) }))
        .sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
        .map(({ row }) => row);
    },
    select(key) {
      selected = key;
      unseen = key;
      reveal();
      render();
    },
    focusRow(key) {
      const at = rows.findIndex((row) => keyOf(row) === key);
      if (at === -1) element.focus();
      else moveTo(at);
    },
  };

  function headerCell(column: Column<Row>): HTMLTableCellElement {
    const cell = make('th', column.className);
    cell.scope = 'col';
    if (!column.sortBy) {
      cell.textContent = column.title;
      return cell;
    }
    const button = make('button', 'sort', column.title);
    button.type = 'button';
    button.addEventListener('click', () => {
      sort = { id: column.id, descending: sort?.id === column.id && !sort.descending };
      showSort();
      element.scrollTop = 0;
      options.onSort?.();
    });
    cell.append(button);
    return cell;
  }

  function showSort(): void {
    for (const [at, column] of columns.entries()) {
      if (!column.sortBy) continue;
      const order = sort?.descending ? 'descending' : 'ascending';
      headers[at]?.setAttribute('aria-sort', sort?.id === column.id ? order : 'none');
    }
  }

  /** Scrolls to what was selected by the address, once it is there. */
  function reveal(): void {
    const at = unseen === undefined ? -1 : rows.findIndex((row) => keyOf(row) === unseen);
    if (at === -1) return;
    unseen = undefined;
    active = at;
    const top = at * heightOfRow();
    const height = element.clientHeight - 2 * heightOfRow();
    if (top >= element.scrollTop && top <= element.scrollTop + height) return;
    layOut(at);
    element.scrollTop = top - height / 2;
  }

  function fitColumns(): void {
    const next = headers.filter((header) => getComputedStyle(header).display !== 'none').length;
    if (next === span) return;
    span = next;
    for (const slot of slots) slot.row = undefined;
  }

  function schedule(): void {
    frame ||= requestAnimationFrame(render);
  }

  /** As the style sheet says for this width. */
  function heightOfRow(): number {
    if (rowHeight === 0)
      rowHeight = Number.parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 30;
    return rowHeight;
  }

  function layOut(first: number): { from: number; to: number } {
    const fits = Math.ceil(element.clientHeight / heightOfRow());
    const from = Math.max(0, Math.min(first, rows.length - fits) - OVERSCAN);
    const to = Math.min(rows.length, from + fits + 2 * OVERSCAN);
    above.setSize(span, from * heightOfRow());
    below.setSize(span, (rows.length - to) * heightOfRow());
    return { from, to };
  }

  function render(): void {
    cancelAnimationFrame(frame);
    frame = 0;
    const { from, to } = layOut(Math.floor(element.scrollTop / heightOfRow()));
    const wasFocused = hasFocus();
    arrange(from, to);
    for (const [at, slot] of slots.entries()) fill(slot, from + at);
    // The row that had the focus is out of sight: the keys still go on from it.
    if (wasFocused && !hasFocus()) element.focus({ preventScroll: true });
  }

  /** What stays in sight stays as it is; only what comes into sight is filled, in rows that went out of it. */
  function arrange(from: number, to: number): void {
    const kept = new Map<number, Slot<Row>>();
    const spare: Slot<Row>[] = [];
    for (const slot of slots.splice(0)) {
      if (slot.index >= from && slot.index < to && !kept.has(slot.index)) kept.set(slot.index, slot);
      else {
        slot.element.remove();
        spare.push(slot);
      }
    }
    let next: Node | null = above.row.nextSibling;
    for (let index = from; index < to; index++) {
      const slot = kept.get(index) ?? spare.pop() ?? newSlot();
      slots.push(slot);
      if (slot.element === next) next = next.nextSibling;
      else body.insertBefore(slot.element, next);
    }
  }

  function newSlot(): Slot<Row> {
    const row = make('tr');
    for (const { className } of columns) row.append(make('td', className));
    return { element: row, row: undefined, index: -1 };
  }

  function fill(slot: Slot<Row>, index: number): void {
    const row = rows[index];
    if (row === undefined) return;
    const line = slot.element;
    if (slot.index !== index) line.setAttribute('aria-rowindex', String(index + 2));
    if (slot.row !== row) fillCells(line, row);
    slot.row = row;
    slot.index = index;
    line.tabIndex = options.onOpen && index === active ? 0 : -1;
    const isSelected = keyOf(row) === selected;
    line.classList.toggle('selected', isSelected);
    if (isSelected) line.setAttribute('aria-current', 'true');
    else line.removeAttribute('aria-current');
  }

  function fillCells(line: HTMLTableRowElement, row: Row): void {
    const text = options.spanning?.(row);
    line.className = `${options.classOf?.(row) ?? ''}${text === undefined ? '' : ' spanning'}`;
    for (const [at, cell] of [...line.cells].entries()) {
      cell.colSpan = text !== undefined && at === 0 ? span : 1;
      cell.hidden = text !== undefined && at > 0;
      if (text === undefined) columns[at]?.render(cell, row);
      else if (at === 0) cell.textContent = text;
    }
  }

  function open(row: Row): void {
    if (options.spanning?.(row) === undefined) options.onOpen?.(row);
  }

  function slotOf(target: EventTarget | null): Slot<Row> | undefined {
    return slots.find((slot) => slot.element.contains(target as Node));
  }

  function hasFocus(): boolean {
    return document.activeElement !== element && body.contains(document.activeElement);
  }

  function indexOf(row: Row | undefined, otherwise: number): number {
    if (row === undefined) return otherwise;
    const key = keyOf(row);
    const at = rows.findIndex((each) => keyOf(each) === key);
    return at === -1 ? otherwise : at;
  }

  function onKey(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || head.contains(event.target as Node)) return;
    const page = Math.max(1, Math.floor(element.clientHeight / heightOfRow()) - 2);
    const steps: Record<string, number> = {
      ArrowDown: hasFocus() ? active + 1 : active,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: rows.length - 1,
    };
    const next = steps[event.key];
    if (next !== undefined && rows.length > 0 && options.onOpen)
      moveTo(Math.max(0, Math.min(rows.length - 1, next)));
    else if (event.key === 'Enter' && hasFocus() && rows[active] !== undefined) open(rows[active] as Row);
    else return;
    event.preventDefault();
  }

  function moveTo(index: number): void {
    active = index;
    const top = index * heightOfRow();
    const visible = element.clientHeight - head.offsetHeight - heightOfRow();
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + visible) element.scrollTop = top - visible;
    render();
    slots.find((slot) => slot.index === index)?.element.focus({ preventScroll: true });
  }
}

/** Takes the room of the rows that are not there. */
function spacer(): { row: HTMLTableRowElement; setSize(span: number, px: number): void } {
  const cell = make('td');
  const row = make('tr', 'spacer', cell);
  row.setAttribute('aria-hidden', 'true');
  return {
    row,
    setSize(span, px) {
      cell.colSpan = span;
      row.hidden = px <= 0;
      cell.style.height = `${px}px`;
    },
  };
}
