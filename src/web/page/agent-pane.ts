/** How the agent does: its hooks, why deliveries were decided as they were, the quota, what was lost. */
import type { StatusView } from '../page-views.js';
import { find, make } from './dom.js';
import { age, bytes, count, plain } from './text.js';

export function showAgent(status: StatusView): void {
  find('agent').replaceChildren(hooks(status), deliveries(status), quota(status), health(status));
  find('footer').textContent =
    `loopwarden ${plain(status.version, 32)} (${plain(status.revision, 12)}) · Linux ${plain(status.kernel, 64)} · up ${age(Date.now() - Date.parse(status.startedAt))} · `;
  const links = ['/metrics', '/readyz'].flatMap((path) => {
    const link = make('a', '', path);
    link.href = path;
    return [link, ' '];
  });
  find('footer').append(...links);
}

type Row = [name: string, value: string, className?: string];

function card(title: string, head: [string, string], rows: readonly Row[], empty = ''): HTMLElement {
  const body = rows.map(([name, value, className = '']) => {
    const header = make('th', '', name);
    header.scope = 'row';
    return make('tr', className, header, make('td', '', value));
  });
  const headers = head.map((text) => {
    const cell = make('th', '', text);
    cell.scope = 'col';
    return cell;
  });
  const content =
    rows.length === 0
      ? make('p', 'empty', empty)
      : make(
          'table',
          '',
          make('caption', 'unseen', title),
          make('thead', '', make('tr', '', ...headers)),
          make('tbody', '', ...body),
        );
  return make('div', 'card', make('h2', '', title), content);
}

function hooks({ hooks: list, receivers }: StatusView): HTMLElement {
  const rows = list.map(({ hook, outcomes }): Row => {
    const attached = outcomes.find(({ state }) => state === 'attached');
    const why = outcomes
      .map(({ link, error, reason, state }) => `${link}: ${plain(error ?? reason ?? state, 80)}`)
      .join('; ');
    return [
      wordsIn(hook),
      attached ? plain(attached.link, 24) : `not attached (${why || 'not tried'})`,
      attached ? '' : 'bad',
    ];
  });
  const listeners = receivers
    .filter(({ class: each, count: many }) => many > 0 || each === 'filtered')
    .map(
      ({ class: each, count: many }): Row => [
        `listeners: ${wordsIn(each)}`,
        count(many),
        each === 'unfiltered' ? 'bad' : '',
      ],
    );
  return card('Hooks and listeners', ['Hook', 'Attached by'], [...rows, ...listeners]);
}

function wordsIn(name: string): string {
  return plain(name, 40).replaceAll('_', ' ');
}

const RULES: Record<string, string> = {
  holder: 'a user namespace holds it',
  creator: 'a user namespace made it',
  pending: 'being attached by a user namespace',
  echo: 'udevd’s own echo of a container’s write',
  receiver_owns: 'the listener is the owner',
  receiver_is_ancestor: 'the listener is above the owner',
  allow_list: 'the listener is on the allow-list',
  initial_owner: 'the host’s own device',
  unknown_owner: 'nobody known owns it',
  observe: 'owned, but only observed',
};

function deliveries({ deliveries: list }: StatusView): HTMLElement {
  const rows = list
    .filter(({ rule, count: each }) => each > 0 && rule !== 'not_loop')
    .sort((a, b) => b.count - a.count)
    .map(
      ({ verdict, rule, count: each }): Row => [
        `${verdict === 'hide' ? 'Hidden' : 'Delivered'}: ${RULES[rule] ?? plain(rule, 40)}`,
        count(each),
        verdict === 'hide' ? 'hides' : '',
      ],
    );
  return card(
    'Deliveries of uevents, by rule',
    ['Rule', 'Deliveries'],
    rows,
    'No uevent of a loop device has come to a listener yet.',
  );
}

const LIMITS: Record<string, string> = {
  total: 'of all instances',
  instance: 'of an instance',
  instance_numbers: 'of numbers of an instance',
  userns: 'of a user namespace',
};

function quota({ loopfs, limits }: StatusView): HTMLElement {
  if (!loopfs)
    return card(
      'Quota',
      ['', ''],
      [],
      'No process of loopfs answers, so no container has loop devices of its own. “loopwarden loopfs serve” starts it.',
    );
  const { bound = 0, unbound = 0 } = loopfs.devices;
  const used = bound + unbound;
  const meter = make('meter', 'quota');
  meter.max = limits.devices;
  meter.high = limits.devices * 0.9;
  meter.value = used;
  meter.setAttribute('aria-label', 'Devices of all instances');
  const rows: Row[] = [
    ['Devices', `${count(used)} of ${count(limits.devices)}`],
    ['In use', count(bound)],
    ['Instances', count(loopfs.instances)],
    ['Most of a user namespace', count(limits.perUserns)],
    ...refusals(loopfs.refusals),
  ];
  const element = card('Quota', ['What', 'Devices'], rows);
  element.querySelector('h2')?.after(meter);
  return element;
}

function refusals(counts: Readonly<Record<string, number>>): Row[] {
  const some = Object.entries(counts).filter(([, value]) => value > 0);
  if (some.length === 0) return [['Refused', 'none']];
  return some.map(
    ([name, value]): Row => [`Refused by the limit ${LIMITS[name] ?? plain(name, 32)}`, count(value), 'bad'],
  );
}

function health({ records, drops, ring, auditLines }: StatusView): HTMLElement {
  const lost = Object.entries(drops).filter(([, value]) => value > 0);
  const rows: Row[] = [
    ['Made by the kernel’s programs', count(records.produced)],
    ['Read by the agent', count(records.delivered)],
    ...(lost.length === 0 ? [['Lost', 'none'] as Row] : []),
    ...lost.map(([name, value]): Row => [`Lost: ${wordsIn(name)}`, count(value), 'bad']),
    [
      'Unaccounted for',
      records.unaccounted === 0 ? 'none' : count(records.unaccounted),
      records.unaccounted > 0 ? 'bad' : '',
    ],
    ['Waiting in the ring', `${bytes(ring.available)} of ${bytes(ring.size)}`],
    ['Lines of the audit log', count(auditLines.written)],
  ];
  if (auditLines.lost > 0) rows.push(['Lines that could not be written', count(auditLines.lost), 'bad']);
  return card('Records', ['What', 'Count'], rows);
}
