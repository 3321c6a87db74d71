/** `devices` and `explain`: what a person reads of a device. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from '../../src/commands/command.js';
import { devices } from '../../src/commands/devices.js';
import { explain } from '../../src/commands/explain.js';
import { filter } from '../../src/commands/filter.js';
import { loadConfig } from '../../src/config/load.js';
import type { LoopwardenError } from '../../src/errors.js';
import type { Container } from '../../src/identity/container.js';
import type { DeviceReport } from '../../src/web/agent-api.js';
import type { ControlClient } from '../../src/web/control-client.js';
import { WEB } from '../event-fixture.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const SESSION: Container = {
  runtime: 'systemd',
  id: 'session-3.scope',
  unit: 'session-3.scope',
  confidence: 'high',
  source: 'cgroup',
  cgroup: '/user.slice/user-0.slice/session-3.scope',
};

const LOADED = loadConfig({ defaultPath: '/nonexistent/config.yaml' });

const CONTAINERS: DeviceReport = {
  name: 'loop3',
  devno: '7:3',
  diskseq: 9n,
  state: 'bound',
  sizeBytes: 1 << 20,
  readOnly: false,
  partitions: [],
  backing: { path: '/srv/disk.img', offset: 0, sizelimit: 0 },
  owner: {
    class: 'userns',
    as: 'holder',
    userns: { id: 77n, inum: 4_026_532_101, level: 1, ownerUid: 1000, alive: true },
  },
  orphan: false,
  attachedBy: { pid: 100, comm: 'losetup', uid: 100_000 },
  container: WEB,
  hidden: true,
  verdict: { verdict: 'hide', rule: 'holder', words: 'a user namespace attached its backing file' },
};
const HOSTS: DeviceReport = {
  ...CONTAINERS,
  name: 'loop4',
  devno: '7:4',
  owner: { class: 'initial', as: 'holder', userns: null },
  attachedBy: null,
  container: SESSION,
  hidden: false,
  verdict: { verdict: 'deliver', rule: 'initial_owner', words: 'it belongs to the host' },
};
const FREE: DeviceReport = {
  ...HOSTS,
  name: 'loop5',
  devno: '7:5',
  state: 'unbound',
  backing: null,
  container: null,
  owner: { class: 'unknown', as: null, userns: null },
};

/** What a command prints when the agent answers so, and what it asked. */
async function run(
  command: Command,
  answer: unknown,
  more: { args?: string[]; options?: object; json?: boolean } = {},
) {
  const asked: unknown[][] = [];
  const printed: unknown[] = [];
  const agent = {
    async request(...request: unknown[]) {
      asked.push(request);
      return answer;
    },
  } as unknown as ControlClient;
  const code = await command.action({
    loaded: LOADED,
    agent,
    json: more.json === true,
    args: more.args ?? [],
    options: { ...more.options },
    print: (value) => printed.push(value),
  });
  return { code, asked, printed, text: String(printed[0]) };
}

test('devices lists those with a file or a container’s, and with --all every one', async () => {
  const list = [CONTAINERS, HOSTS, FREE];
  assert.equal(
    (await run(devices, list)).text,
    [
      'NAME   DEVNO  DISKSEQ  STATE  OWNER   CONTAINER                USERNS      UID   HIDDEN  BACKING-FILE',
      'loop3  7:3    9        bound  userns  docker/web               4026532101  1000  yes     /srv/disk.img',
      'loop4  7:4    9        bound  host    systemd/session-3.scope  -           -     no      /srv/disk.img',
    ].join('\n'),
  );
  assert.match((await run(devices, list, { options: { all: true } })).text, /^loop5 .* unknown .* no +-$/m);
  assert.match((await run(devices, [{ ...CONTAINERS, state: 'unbound' }])).text, /^loop3 .* unbound/m);
});

test('devices calls a device whose namespace is gone an orphan', async () => {
  assert.match((await run(devices, [{ ...CONTAINERS, orphan: true }])).text, /^loop3 .* orphan /m);
});

test('devices --json is what is shown, as data', async () => {
  assert.deepEqual((await run(devices, [CONTAINERS, FREE], { json: true })).printed, [[CONTAINERS]]);
});

test('explain says whose a device is, what the host’s udev gets, and the rule', async () => {
  const { text, asked } = await run(explain, CONTAINERS, { args: ['/dev/loop3'] });
  assert.deepEqual(asked, [['GET', '/api/v1/devices/loop3']]);
  assert.match(text, /^owner +user namespace 4026532101 \(id 77, of uid 1000, level 1\), as holder$/m);
  assert.match(text, /^host’s udev +gets no event of it$/m);
  assert.match(text, /^rule +holder: a user namespace attached its backing file$/m);
  assert.match(text, /^attached by +losetup \(pid 100, uid 100000\)$/m);
  const hosts = (await run(explain, HOSTS, { args: ['loop4'] })).text;
  assert.match(hosts, /^owner +the host, as holder$/m);
  assert.match(hosts, /^host’s udev +gets its events$/m);
  assert.match(hosts, /^attached by +not seen by this agent$/m);
  assert.match((await run(explain, FREE, { args: ['loop5'] })).text, /^attached by +nobody$/m);
  assert.match(
    (await run(explain, { ...CONTAINERS, orphan: true }, { args: ['loop3'] })).text,
    /: an orphan/,
  );
});

test('explain says which container it is, who told, and how sure that is', async () => {
  const sentence = async (container: Container | null) =>
    /^container +(.*)$/m.exec(
      (await run(explain, { ...CONTAINERS, container }, { args: ['loop3'] })).text,
    )?.[1];
  assert.equal(
    await sentence({ ...WEB, pod: 'p', unit: 'u.scope', nested: { runtime: 'docker', id: 'ab'.repeat(32) } }),
    `docker web (id ${WEB.id}); pod p; unit u.scope; inside it, by its own account, docker/abababababab; ` +
      'told by: docker state file, high confidence',
  );
  assert.equal(await sentence(SESSION), 'systemd session-3.scope; told by: cgroup, high confidence');
  assert.equal(await sentence(null), 'not known');
});

test('a container without a name has its short id, and a long name leaves room for the rest', async () => {
  const word = async (container: Container) =>
    /userns +(\S+)/.exec((await run(devices, [{ ...CONTAINERS, container }])).text)?.[1];
  const { name, ...nameless } = WEB;
  assert.equal(name, 'web');
  assert.equal(await word(nameless), 'docker/4f797c539e6c');
  assert.equal(await word({ ...WEB, name: 'n'.repeat(255) }), `docker/${'n'.repeat(32)}…`);
});

test('a name cannot lead explain to another place of the API', async () => {
  const { asked } = await run(explain, FREE, { args: ['../filter?x=1#'] });
  assert.deepEqual(asked, [['GET', '/api/v1/devices/..%2Ffilter%3Fx%3D1%23']]);
});

test('filter turns its words into modes, and refuses any other', async () => {
  for (const [word, mode] of [
    ['on', 'hide'],
    ['off', 'off'],
    ['observe', 'observe'],
  ] as const) {
    const { asked, text } = await run(filter, { filterMode: mode }, { args: [word] });
    assert.deepEqual(asked, [['PUT', '/api/v1/filter', { mode }]]);
    assert.equal(text, `filter is ${word}`);
  }
  for (const word of ['', 'hide', 'ON', 'constructor', '__proto__']) {
    await assert.rejects(
      run(filter, {}, { args: [word] }),
      (error: LoopwardenError) => error.code === 'ERR_USAGE',
    );
  }
});

test('hostile names never reach the terminal raw', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const device: DeviceReport = {
      ...CONTAINERS,
      backing: { path: name, offset: 0, sizelimit: 0 },
      attachedBy: { pid: 1, comm: name, uid: 0 },
      container: { ...WEB, id: name, name, pod: name, unit: name, nested: { runtime: 'lxc', id: name } },
    };
    assertHarmless((await run(devices, [device])).text, 2, what);
    assertHarmless((await run(explain, device, { args: ['loop3'] })).text, 7, what);
  }
});
