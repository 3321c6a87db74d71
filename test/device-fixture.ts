import type { DeviceReport } from '../src/web/agent-api.js';
import { WEB } from './event-fixture.js';

/** loop3, which the container `web` holds, hidden; unless told otherwise. */
export function deviceReport(more: Partial<DeviceReport> = {}): DeviceReport {
  return {
    name: 'loop3',
    devno: '7:3',
    diskseq: 9n,
    state: 'bound',
    sizeBytes: 1 << 20,
    logicalBlockBytes: 512,
    readOnly: false,
    partitions: [],
    on: [],
    backing: {
      path: '/srv/disk.img',
      offset: 0,
      sizelimit: 0,
      autoclear: true,
      partscan: false,
      directIo: false,
      file: { devno: '8:1', inode: 42n },
    },
    owner: {
      class: 'userns',
      as: 'holder',
      userns: { id: 77n, inum: 4_026_532_101, level: 1, ownerUid: 1000, alive: true },
      pidns: null,
    },
    orphan: false,
    attachedBy: { pid: 100, comm: 'losetup', uid: 100_000 },
    attachedBootNs: 5_000_000_000n,
    container: WEB,
    hidden: true,
    verdict: { verdict: 'hide', rule: 'holder', words: 'a user namespace attached its backing file' },
    ...more,
  };
}

/** loop4, which the host holds. */
export function hostDevice(more: Partial<DeviceReport> = {}): DeviceReport {
  return deviceReport({
    name: 'loop4',
    devno: '7:4',
    owner: { class: 'initial', as: 'holder', userns: null, pidns: null },
    attachedBy: null,
    attachedBootNs: null,
    container: null,
    hidden: false,
    verdict: { verdict: 'deliver', rule: 'initial_owner', words: 'it belongs to the host' },
    ...more,
  });
}

/** loop5, which nobody has anything to do with. */
export function freeDevice(more: Partial<DeviceReport> = {}): DeviceReport {
  return hostDevice({
    name: 'loop5',
    devno: '7:5',
    state: 'unbound',
    backing: null,
    sizeBytes: 0,
    owner: { class: 'unknown', as: null, userns: null, pidns: null },
    ...more,
  });
}
