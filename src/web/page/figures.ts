/** The numbers that one looks at first. */
import type { DeviceRow, StatusView } from '../page-views.js';
import { find, make, setText } from './dom.js';
import { count, rate } from './text.js';

export interface Figures {
  showDevices(devices: readonly DeviceRow[]): void;
  showStatus(status: StatusView): void;
  showRate(events: number | null): void;
}

export function createFigures(): Figures {
  const list = find('figures');
  const add = (name: string) => {
    const value = make('dd', 'value', '–');
    const note = make('dd', 'note');
    list.append(make('div', '', make('dt', '', name), value, note));
    return (text: string, more = '', bad = false): void => {
      setText(value, text);
      setText(note, more);
      value.classList.toggle('bad', bad);
    };
  };
  const inUse = add('Devices in use');
  const hidden = add('Hidden from host');
  const orphans = add('Orphans');
  const events = add('Events a second');
  const lost = add('Events lost');
  const quota = add('In loopfs');
  return {
    showDevices(devices) {
      const bound = devices.filter(({ state }) => state === 'bound').length;
      const owners = new Set(
        devices.flatMap(({ owner }) => {
          const namespace = owner.userns ?? owner.pidns;
          return namespace ? [String(namespace.id)] : [];
        }),
      );
      const left = devices.filter(({ orphan }) => orphan).length;
      inUse(count(bound), `of ${count(devices.length)}`);
      hidden(
        count(devices.filter((each) => each.hidden).length),
        `of ${count(owners.size)} ${owners.size === 1 ? 'namespace' : 'namespaces'}`,
      );
      orphans(count(left), left === 0 ? 'each owner lives' : 'their owners are gone', left > 0);
    },
    showStatus({ drops, loopfs, limits, records }) {
      const all = Object.values(drops).reduce((sum, each) => sum + each, 0) + records.unaccounted;
      lost(
        count(all),
        all === 0 ? `all of ${count(records.produced)} read` : `of ${count(records.produced)}`,
        all > 0,
      );
      if (!loopfs) return quota('–', 'not running');
      const used = Object.values(loopfs.devices).reduce((sum, each) => sum + each, 0);
      quota(
        count(used),
        `of ${count(limits.devices)}, ${count(loopfs.instances)} ${loopfs.instances === 1 ? 'instance' : 'instances'}`,
        used >= limits.devices,
      );
    },
    showRate: (value) => events(value === null ? '–' : rate(value), 'read by the agent'),
  };
}
