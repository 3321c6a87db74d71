/** Who owns what now: the table of devices, with its filters. */
import type { DeviceRow } from '../page-views.js';
import { find, make, setText } from './dom.js';
import { bytes, count, isOwned, ownerName, plain, processName } from './text.js';
import { createVirtualTable } from './virtual-table.js';

export interface DevicePane {
  show(devices: readonly DeviceRow[]): void;
  select(name: string | undefined): void;
  focus(name: string): void;
}

const VIEWS = {
  all: { title: 'All', takes: () => true },
  bound: { title: 'In use', takes: (row: DeviceRow) => row.state === 'bound' },
  hidden: { title: 'Hidden', takes: (row: DeviceRow) => row.hidden },
  orphans: { title: 'Orphans', takes: (row: DeviceRow) => row.orphan },
  host: { title: 'The host’s', takes: (row: DeviceRow) => !isOwned(row) },
} as const;
type ViewName = keyof typeof VIEWS;

const NOTHING: Record<ViewName, string> = {
  all: 'No loop device exists. One appears here the moment a losetup makes it, with whoever owns it.',
  bound: 'No file is attached to any loop device now.',
  hidden: 'Nothing is hidden: no container owns a device, or the filter does not hide.',
  orphans:
    'No orphans: each owner is still there. A device whose container died without letting go would be here.',
  host: 'Each device belongs to a container.',
};

export function createDevicePane(onOpen: (name: string) => void): DevicePane {
  let devices: readonly DeviceRow[] | undefined;
  let view: ViewName = 'all';
  const table = createVirtualTable<DeviceRow>({
    caption: 'Loop devices and their owners',
    keyOf: ({ name }) => name,
    sort: { id: 'device', descending: false },
    onSort: update,
    onOpen: ({ name }) => onOpen(name),
    classOf: (row) => (row.orphan ? 'orphan' : row.state === 'bound' ? '' : 'free'),
    columns: [
      {
        id: 'device',
        title: 'Device',
        className: 'name',
        sortBy: ({ name }) => Number(/\d+/.exec(name)?.[0] ?? -1),
        render: (cell, { name, partitions }) =>
          cell.replaceChildren(
            plain(name, 32),
            (partitions.length > 0 && make('small', '', ` ${partitions.length}p`)) || '',
          ),
      },
      {
        id: 'owner',
        title: 'Owner',
        className: 'owner',
        sortBy: (row) => ownerName(row).toLowerCase(),
        render(cell, row) {
          const namespace = row.owner.userns ?? row.owner.pidns;
          const name = make('span', isOwned(row) ? 'who strong' : 'who', ownerName(row));
          const tag = row.orphan && make('span', 'tag bad', 'orphan');
          const inum = namespace && row.container ? make('small', '', String(namespace.inum)) : undefined;
          cell.replaceChildren(make('div', 'whose', name, tag, inum));
          cell.title = `${ownerName(row)}${namespace ? `, ${row.owner.userns ? 'user' : 'pid'} namespace ${namespace.inum}` : ''}`;
        },
      },
      {
        id: 'file',
        title: 'Backing file',
        className: 'file',
        sortBy: ({ backing }) => backing?.path ?? '\uffff',
        render(cell, { backing }) {
          const path = plain(backing?.path);
          const base = path.slice(path.lastIndexOf('/') + 1);
          // The end is what tells files apart, so it is the last to be cut.
          const folder = make('span', 'folder', path.slice(0, path.length - base.length));
          cell.replaceChildren(make('div', 'path', folder, make('span', 'base', base)));
          cell.title = plain(backing?.path, 4096);
        },
      },
      {
        id: 'size',
        title: 'Size',
        className: 'size number',
        sortBy: ({ sizeBytes, state }) => (state === 'bound' ? sizeBytes : -1),
        render(cell, { sizeBytes, state }) {
          cell.textContent = state === 'bound' ? bytes(sizeBytes) : '';
        },
      },
      {
        id: 'by',
        title: 'Attached by',
        className: 'by',
        sortBy: ({ attachedBy }) => attachedBy?.comm ?? '\uffff',
        render(cell, { attachedBy }) {
          cell.textContent = processName(attachedBy);
          cell.title = attachedBy ? `${processName(attachedBy)}, uid ${attachedBy.uid}` : '';
        },
      },
      {
        id: 'verdict',
        title: 'Host’s udev',
        className: 'verdict',
        sortBy: ({ hidden, verdict }) => `${hidden ? 0 : 1}${verdict.rule}`,
        render(cell, { hidden, verdict }) {
          cell.replaceChildren(make('span', hidden ? 'hides' : 'shows', hidden ? 'hidden' : 'delivered'));
          cell.title = plain(verdict.words);
        },
      },
    ],
  });

  const search = make('input', 'search');
  search.type = 'search';
  search.placeholder = 'Filter';
  search.setAttribute('aria-label', 'Filter devices');
  search.addEventListener('input', update);
  const views = make('div', 'choices');
  views.setAttribute('role', 'group');
  views.setAttribute('aria-label', 'Which devices');
  const buttons = (Object.keys(VIEWS) as ViewName[]).map((name) => {
    const button = make('button', '', VIEWS[name].title);
    button.type = 'button';
    button.addEventListener('click', () => {
      view = name;
      table.element.scrollTop = 0;
      update();
    });
    views.append(button);
    return { name, button };
  });
  const total = make('span', 'total');
  const title = make('h2', '', 'Devices');
  title.id = 'devices-title';
  find('devices').append(make('div', 'pane-head', title, total, views, search), table.element);
  update();

  return {
    show(next) {
      devices = next;
      update();
    },
    select: (name) => table.select(name),
    focus: (name) => table.focusRow(name),
  };

  function update(): void {
    for (const { name, button } of buttons) button.setAttribute('aria-pressed', String(name === view));
    if (devices === undefined) {
      table.setRows([], 'Asking the agent…');
      return;
    }
    const wanted = search.value.trim().toLowerCase();
    const shown = devices.filter(
      (row) => VIEWS[view].takes(row) && (wanted === '' || wordsOf(row).includes(wanted)),
    );
    setText(
      total,
      shown.length === devices.length
        ? count(devices.length)
        : `${count(shown.length)} of ${count(devices.length)}`,
    );
    table.setRows(
      table.sorted(shown),
      wanted === '' ? NOTHING[view] : `No device has “${plain(wanted, 40)}” in it.`,
    );
  }
}

const words = new WeakMap<DeviceRow, string>();

function wordsOf(row: DeviceRow): string {
  let text = words.get(row);
  if (text === undefined) {
    const { name, owner, backing, attachedBy, container, verdict } = row;
    text = [
      name,
      ownerName(row),
      owner.userns?.inum ?? owner.pidns?.inum,
      backing?.path,
      processName(attachedBy),
      container?.id,
      container?.pod,
      verdict.rule,
    ]
      .join(' ')
      .toLowerCase();
    words.set(row, text);
  }
  return text;
}
