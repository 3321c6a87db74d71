/** What happens: the stream of events, newest first, with filters. A gap is a row of its own. */
import { find, make, setText } from './dom.js';
import { type EventLog, gapWords, isGap, type Logged } from './event-log.js';
import { actorName, clockTime, count, duration, plain } from './text.js';
import { type Column, createVirtualTable } from './virtual-table.js';

export interface EventPane {
  /** There are new ones. */
  update(): void;
}

const KINDS: Readonly<Record<string, string>> = {
  ioctl: 'Ioctls',
  life: 'Releases',
  uevent: 'Uevents',
  agent: 'Agent',
};

export function createEventPane(log: EventLog, onOpen: (device: string) => void): EventPane {
  const shown = new Set<string>(['ioctl', 'life', 'agent']);
  let failedOnly = false;
  let paused: readonly Logged[] | undefined;
  let planned: number | undefined;
  const table = createVirtualTable<Logged>({
    caption: 'Events, newest first',
    keyOf: ({ key }) => key,
    spanning: (row) => (isGap(row) ? gapWords(row.gap) : undefined),
    classOf: (row) => (isGap(row) ? 'gap' : isBad(row) ? 'failed' : ''),
    onOpen: (row) => {
      if (!isGap(row) && row.line.device?.name) onOpen(row.line.device.name);
    },
    columns: COLUMNS,
  });

  const title = make('h2', '', 'Events');
  title.id = 'events-title';
  const total = make('span', 'total');
  const search = make('input', 'search');
  search.type = 'search';
  search.placeholder = 'Filter';
  search.setAttribute('aria-label', 'Filter events');
  search.addEventListener('input', update);
  const choices = make('div', 'choices');
  choices.setAttribute('role', 'group');
  choices.setAttribute('aria-label', 'Which events');
  for (const [kind, words] of Object.entries(KINDS))
    addToggle(words, shown.has(kind), (on) => {
      if (on) shown.add(kind);
      else shown.delete(kind);
    });
  addToggle('Failed only', false, (on) => {
    failedOnly = on;
  });
  addToggle('Pause', false, (on) => {
    paused = on ? log.all().slice() : undefined;
  });
  find('events').append(make('div', 'pane-head', title, total, choices, search), table.element);
  update();

  return {
    update() {
      // Four times a second is as fast as anybody reads.
      if (planned === undefined) planned = window.setTimeout(update, 250);
    },
  };

  function addToggle(text: string, on: boolean, change: (on: boolean) => void): void {
    const button = make('button', '', text);
    button.type = 'button';
    button.setAttribute('aria-pressed', String(on));
    button.addEventListener('click', () => {
      const next = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(next));
      change(next);
      update();
    });
    choices.append(button);
  }

  function update(): void {
    planned = undefined;
    const wanted = search.value.trim().toLowerCase();
    const all = paused ?? log.all();
    const rows: Logged[] = [];
    for (let at = all.length - 1; at >= 0; at--) {
      const row = all[at];
      if (row !== undefined && takes(row, wanted)) rows.push(row);
    }
    setText(total, paused ? 'paused' : count(rows.length));
    table.setRows(rows, all.length === 0 ? NOTHING : 'None of the events that the page has fits the filter.');
  }

  function takes(row: Logged, wanted: string): boolean {
    if (isGap(row)) return true;
    // What was counted is shown where its like is.
    const kind = row.line.aggregate?.of ?? row.line.kind ?? '';
    if (!shown.has(kind) || (failedOnly && !isBad(row))) return false;
    return wanted === '' || row.words.includes(wanted);
  }
}

const NOTHING =
  'Nothing has happened yet. Each loop ioctl on this host will be a line here: who, on which device, with what result.';

function isBad(row: Logged): boolean {
  return !isGap(row) && row.line.result !== undefined && row.line.result !== 'ok';
}

const column = (
  id: string,
  title: string,
  render: (line: Exclude<Logged, { gap: unknown }>) => string,
): Column<Logged> => ({
  id,
  title,
  className: id,
  render(cell, row) {
    cell.textContent = isGap(row) ? '' : render(row);
    cell.title = cell.textContent;
  },
});

const COLUMNS: readonly Column<Logged>[] = [
  {
    id: 'time',
    title: 'Time',
    className: 'time',
    render(cell, { timeMs }) {
      const time = clockTime(timeMs);
      cell.replaceChildren(time.slice(0, 8), make('span', 'fraction', time.slice(8)));
    },
  },
  column('what', 'What', ({ line }) =>
    line.kind === 'uevent' || line.aggregate?.of === 'uevent'
      ? `${plain(line.command, 40)} uevent`
      : plain(line.command, 64),
  ),
  column('name', 'Device', ({ line }) => plain(line.device?.name, 32)),
  column('result', 'Result', ({ line }) => {
    const verdict = line.verdict === 'hide' ? 'hidden' : line.verdict === 'deliver' ? 'delivered' : '';
    const times = line.aggregate === undefined ? '' : ` × ${line.aggregate.count ?? '?'}`;
    return plain(`${line.result ?? verdict}${times}`, 40);
  }),
  column('by', 'By', ({ line }) => actorName(line)),
  column('took', 'Took', ({ line }) =>
    line.duration_ns === undefined ? '' : duration(Number(line.duration_ns)),
  ),
];
