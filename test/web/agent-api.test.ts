import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.js';
import type { DeviceView } from '../../src/devices/view.js';
import type { LoopwardenError } from '../../src/errors.js';
import type { Receiver, Receivers } from '../../src/kernel/receivers.js';
import type { FilterModeName } from '../../src/kernel/settings.js';
import { createActivity } from '../../src/sinks/activity.js';
import { createEventFeed } from '../../src/sinks/event-feed.js';
import { type AgentStatus, createAgentApi, type DeviceReport } from '../../src/web/agent-api.js';
import { WEB } from '../event-fixture.js';

const HELD: DeviceView = {
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
    autoclear: false,
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
  attachedBy: null,
  attachedBootNs: null,
  container: WEB,
};
const HOSTS: DeviceView = {
  ...HELD,
  name: 'loop4',
  owner: { class: 'initial', as: 'creator', userns: null, pidns: null },
};

function createApi(mode: FilterModeName = 'hide') {
  const loaded = loadConfig({ defaultPath: '/nonexistent/config.yaml' });
  const feed = createEventFeed(10);
  const state = { mode, scans: 0 };
  const list = [{ pid: 1 } as Receiver];
  const receivers: Receivers = {
    scan() {
      state.scans++;
      return list;
    },
    list: () => [],
    detachAll: () => 0,
    udevTgid: () => 0,
    close: () => {},
  };
  const devices = [HELD, HOSTS];
  const made: [number, bigint][] = [];
  const api = createAgentApi({
    loaded,
    feed,
    activity: createActivity(),
    receivers,
    inventory: {
      devices: () => devices,
      disks: () => [],
      device: (name) => devices.find((device) => device.name === name),
      orphans: () => [],
      ownership: () => ({ owners: new Map(), userNamespaces: new Map(), living: new Set() }),
    },
    status: () => ({ pid: 4711, filterMode: state.mode }) as AgentStatus,
    filterMode: () => state.mode,
    setFilterMode(next) {
      state.mode = next;
    },
    processes: { usernsOf: (inum) => (inum === 4026532000 ? 77n : undefined), close: () => {} },
    maker: {
      make(number, owner) {
        made.push([number, owner]);
        return 0;
      },
    },
  });
  return { api, feed, state, loaded, list, made };
}

test('each device comes with the verdict for the host’s udev, as the filter is now', async () => {
  const { api, state } = createApi();
  const hidden = async () =>
    ((await api.devices()) as DeviceReport[]).map((device) => [
      device.name,
      device.hidden,
      device.verdict.rule,
    ]);
  assert.deepEqual(await hidden(), [
    ['loop3', true, 'holder'],
    ['loop4', false, 'initial_owner'],
  ]);
  state.mode = 'observe';
  assert.deepEqual(await hidden(), [
    ['loop3', false, 'observe'],
    ['loop4', false, 'initial_owner'],
  ]);
});

test('a device is found by its name or its node, and one that is not there is an error', async () => {
  const { api } = createApi();
  for (const name of ['loop3', '/dev/loop3']) {
    assert.deepEqual(await api.device(name), {
      ...HELD,
      hidden: true,
      verdict: { verdict: 'hide', rule: 'holder', words: 'a user namespace attached its backing file' },
    });
  }
  for (const name of ['loop9', '', 'sda', '/dev//dev/loop3']) {
    await assert.rejects(
      api.device(name),
      (error: LoopwardenError) => error.code === 'ERR_NO_SUCH_DEVICE' && error.message.includes(name),
    );
  }
});

test('setting the mode answers with what it is then', async () => {
  const { api, state } = createApi();
  assert.deepEqual(await api.setFilterMode('off'), { filterMode: 'off' });
  assert.equal(state.mode, 'off');
});

test('who asks for receivers gets those of this moment', async () => {
  const { api, state, list } = createApi();
  assert.deepEqual(await api.receivers(), list);
  assert.deepEqual(await api.doctor(), { status: { pid: 4711, filterMode: 'hide' }, receivers: list });
  assert.equal(state.scans, 2);
});

test('status and config are the agent’s own', async () => {
  const { api, loaded } = createApi();
  assert.deepEqual(await api.status(), { pid: 4711, filterMode: 'hide' });
  assert.equal(await api.config(), loaded);
});

test('events are those of the feed, kept and new', () => {
  const { api, feed } = createApi();
  feed.publish('a');
  feed.publish('b');
  assert.deepEqual(api.recentEvents(1), ['b']);
  const heard: string[] = [];
  const end = api.subscribeEvents((line) => heard.push(line));
  feed.publish('c');
  end();
  feed.publish('d');
  assert.deepEqual(heard, ['c']);
});

test('makes a device for the user namespace that a process is in, and for no other', async () => {
  const { api, made } = createApi();
  assert.deepEqual(await api.makeDevice(5000, 4026532000), { number: 5000, owner: 77n, errno: 0 });
  await assert.rejects(api.makeDevice(5001, 4026532001), { code: 'ERR_NO_SUCH_USERNS' });
  assert.deepEqual(made, [[5000, 77n]]);
});
