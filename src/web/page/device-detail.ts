/** One device: whose it is and why, and its life as a time line. */
import type { DeviceRow } from '../page-views.js';
import { find, make } from './dom.js';
import { type EventLog, gapWords, isGap, type Logged, type LoggedEvent } from './event-log.js';
import { drawLives } from './life-track.js';
import {
  actorName,
  bytes,
  clockTime,
  containerName,
  duration,
  eventWords,
  ownerName,
  plain,
  processName,
} from './text.js';

export interface DeviceDetail {
  /** Undefined closes it. */
  open(name: string | undefined): void;
  /** New devices, or new events. */
  update(devices: ReadonlyMap<string, DeviceRow> | undefined): void;
}

/** Past it the oldest of the list are left out, and it says so. */
const MOST_EVENTS = 200;

export function createDeviceDetail(log: EventLog, onClose: (name: string) => void): DeviceDetail {
  const pane = find('device');
  const title = make('h2', '');
  title.id = 'device-title';
  title.tabIndex = -1;
  const close = make('button', 'quiet', 'Close');
  close.type = 'button';
  const story = make('p', 'story');
  const facts = make('dl', 'facts');
  const track = make('div', 'track');
  const list = make('ol', 'life');
  const content = make('div', 'detail-body', story, facts, make('h3', '', 'Its life'), track, list);
  content.tabIndex = 0;
  content.setAttribute('role', 'region');
  content.setAttribute('aria-label', 'Owner and life');
  pane.append(make('div', 'pane-head', title, close), content);
  let shown: string | undefined;
  let known: ReadonlyMap<string, DeviceRow> = new Map();
  let drawn = '';

  const leave = (): void => {
    if (shown !== undefined) onClose(shown);
  };
  close.addEventListener('click', leave);
  pane.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') leave();
  });

  return {
    open(name) {
      const changed = name !== shown;
      shown = name;
      drawn = '';
      pane.hidden = name === undefined;
      document.body.classList.toggle('has-detail', name !== undefined);
      if (name === undefined || !changed) return;
      content.scrollTop = 0;
      title.focus({ preventScroll: true });
    },
    update(devices) {
      if (devices) known = devices;
      if (shown !== undefined) draw(shown);
    },
  };

  function draw(name: string): void {
    const events = log.ofDevice(name);
    const device = known.get(name);
    // Nothing is drawn anew that has not changed: a selection of text would be lost.
    const state = JSON.stringify([name, device, events.at(-1)?.key, events.length]);
    if (state !== drawn) {
      title.textContent = plain(name, 64);
      story.textContent = storyOf(name, device);
      facts.replaceChildren(...(device ? factsOf(device) : []));
      list.replaceChildren(...entriesOf(events));
      drawn = state;
    }
    drawLives(track, events, device);
  }
}

function storyOf(name: string, device: DeviceRow | undefined): string {
  if (!device) return `${plain(name, 64)} does not exist now.`;
  const { state, hidden, verdict, orphan } = device;
  const use = state === 'bound' ? `In use by ${ownerName(device)}.` : 'No file is attached.';
  const seen = hidden ? 'Hidden from the host’s udev' : 'The host’s udev is told of it';
  const left = orphan ? ' Its owner is gone: it is an orphan, hidden until somebody detaches it.' : '';
  return `${use} ${seen}: ${plain(verdict.words)}.${left}`;
}

const OWNER_AS = {
  holder: 'holder: it attached the file',
  creator: 'creator: it made the device',
  stacked: 'owner of a device that it stands on',
} as const;

function factsOf({
  owner,
  container,
  backing,
  sizeBytes,
  readOnly,
  partitions,
  on,
  attachedBy,
  devno,
  diskseq,
}: DeviceRow): HTMLElement[] {
  const { userns, pidns } = owner;
  const facts: [string, string][] = [
    [
      'User namespace',
      userns
        ? `${userns.inum}, level ${userns.level}, owned by uid ${userns.ownerUid}${userns.alive ? '' : ', gone'}`
        : owner.class === 'initial' || pidns
          ? 'the host’s'
          : 'not known',
    ],
    ...(pidns
      ? [
          ['Pid namespace', `${pidns.inum}, level ${pidns.level}${pidns.alive ? '' : ', gone'}`] as [
            string,
            string,
          ],
        ]
      : []),
    ['Owner as', owner.as ? OWNER_AS[owner.as] : ''],
    ['Stands on', on.map((chain) => chain.map((each) => plain(each, 32)).join(' on ')).join('; ')],
    ['Container', containerName(container)],
    ['Container id', plain(container?.id, 128)],
    ['Pod', plain(container?.pod, 64)],
    [
      'Told by',
      container ? `${plain(container.source, 64)}, confidence ${plain(container.confidence, 16)}` : '',
    ],
    ['Backing file', plain(backing?.path, 4096)],
    [
      'Part of it',
      backing && (backing.offset > 0 || backing.sizelimit > 0)
        ? `from byte ${backing.offset}${backing.sizelimit > 0 ? `, ${bytes(backing.sizelimit)}` : ''}`
        : '',
    ],
    ['Size', backing || on.length > 0 ? `${bytes(sizeBytes)}${readOnly ? ', read only' : ''}` : ''],
    ['Partitions', partitions.map((each) => plain(each, 32)).join(', ')],
    ['Attached by', attachedBy ? `${processName(attachedBy)}, uid ${attachedBy.uid}` : ''],
    ['Number, life', `${plain(devno, 16)}, diskseq ${plain(diskseq, 24)}`],
  ];
  return facts
    .filter(([, text]) => text !== '')
    .flatMap(([name, text]) => [make('dt', '', name), make('dd', '', text)]);
}

function entriesOf(events: readonly Logged[]): HTMLElement[] {
  if (events.length === 0)
    return [
      make(
        'li',
        'empty',
        'The page has no event of it: what happened was before the events that the agent keeps. The audit log has them.',
      ),
    ];
  const shown = events.slice(-MOST_EVENTS);
  const entries = shown.map((each) => (isGap(each) ? make('li', 'gap', gapWords(each.gap)) : entryOf(each)));
  if (shown.length < events.length)
    entries.unshift(make('li', 'gap', `${events.length - shown.length} earlier events are left out here.`));
  return entries.reverse();
}

function entryOf({ timeMs, line }: LoggedEvent): HTMLElement {
  const bad = line.result !== undefined && line.result !== 'ok';
  const by = actorName(line);
  const took = line.duration_ns === undefined ? '' : duration(Number(line.duration_ns));
  const time = make('time', '', clockTime(timeMs));
  const kind = line.kind === 'uevent' ? 'uevent' : plain(line.command, 64);
  return make(
    'li',
    bad ? 'failed' : line.kind === 'uevent' ? 'minor' : '',
    time,
    make('span', 'words', eventWords(line)),
    make('span', 'by', [kind, by, took].filter((text) => text !== '').join(' · ')),
  );
}
