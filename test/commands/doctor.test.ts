import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseColors } from '../../src/commands/color.js';
import { alignedTable } from '../../src/commands/column-table.js';
import { doctor } from '../../src/commands/doctor.js';
import { RECEIVER_COLUMNS } from '../../src/commands/receiver-columns.js';
import { textWidth } from '../../src/commands/text-width.js';
import { loadConfig } from '../../src/config/load.js';
import { createError } from '../../src/errors.js';
import { HOOK_NAMES, HOOKS } from '../../src/kernel/hooks.js';
import type { Receiver } from '../../src/kernel/receivers.js';
import type { AgentStatus } from '../../src/web/agent-api.js';
import type { ControlClient } from '../../src/web/control-client.js';
import { HOSTILE_NAMES } from './terminal.js';

const STATUS: AgentStatus = {
  version: '0.1.0',
  revision: 'abc',
  pid: 4711,
  startedAt: '2023-11-14T22:13:25.000Z',
  filterMode: 'hide',
  auditLog: '/var/log/loopwarden/audit.ndjson',
  metricsUrl: 'http://127.0.0.1:9847',
  hooks: HOOKS.map(({ name, links }) => ({
    hook: name,
    outcomes: [{ state: 'attached', link: links[0]?.kind ?? 'tp_btf' }],
  })),
  receivers: [],
  programs: [],
  drops: {},
  auditLines: { written: 0, lost: 0 },
};

function receiver(more: Partial<Receiver>): Receiver {
  return {
    pid: 99,
    fd: 3,
    command: 'udevadm',
    executable: '/usr/bin/udevadm',
    socketInode: 1n,
    userns: 3n,
    usernsInum: 4_026_531_837,
    usernsLevel: 0,
    netns: 4_026_531_833,
    uid: 0,
    container: 0n,
    place: null,
    gets: 'everything',
    rule: null,
    class: 'foreign_filter',
    why: 'has set a filter of its own, which is never replaced',
    ...more,
  };
}

/** What doctor prints; `answer`: of the agent, undefined if none is running. */
async function run(answer: unknown, json = false): Promise<{ code: number; printed: unknown[] }> {
  const printed: unknown[] = [];
  const agent = {
    async request() {
      if (answer === undefined) throw createError('ERR_AGENT_NOT_RUNNING', { path: '/none' });
      return answer;
    },
  } as unknown as ControlClient;
  const loaded = loadConfig({ defaultPath: '/nonexistent/config.yaml' });
  const code = await doctor.action({
    loaded,
    agent,
    json,
    args: [],
    options: {},
    print: (value) => printed.push(value),
  });
  return { code, printed };
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is what is tested
type Document = any;

test('names every hook and why its link was chosen, with an agent and without', async () => {
  for (const [answer, state] of [
    [undefined, 'would attach'],
    [{ status: STATUS, receivers: [] }, 'attached'],
  ] as const) {
    const { code, printed } = await run(answer, true);
    const [document] = printed as Document[];
    assert.equal(code, 0);
    assert.deepEqual(
      document.hooks.map(({ hook }: Document) => hook),
      [...HOOK_NAMES],
    );
    for (const hook of document.hooks) assert.deepEqual([hook.state, hook.why.length > 20], [state, true]);
    assert.equal(document.agent === null, answer === undefined);
  }
});

test('names each kind of link that this kernel lacks with what the kernel said, and what to do', async () => {
  const [document] = (await run(undefined, true)).printed as Document[];
  for (const { kind, available, reason, since } of document.kernel.links) {
    assert.equal(typeof available, 'boolean', kind);
    assert.match(since, /^\d+\.\d+$/);
    assert.ok(reason.length > 3 && !reason.includes('\n'), `${kind}: ${reason}`);
  }
  for (const { what, mend } of document.degraded) assert.ok(what && mend);
});

test('tells a hook that failed by its exit code', async () => {
  const hooks = STATUS.hooks.map((each, index) =>
    index === 0 ? { ...each, outcomes: [{ state: 'failed', link: 'tp_btf', error: 'refused' }] } : each,
  );
  assert.equal((await run({ status: { ...STATUS, hooks }, receivers: [] }, true)).code, 1);
});

test('tells of a receiver that gets everything, and of no other', async () => {
  const receivers = [
    receiver({ pid: 1001 }),
    receiver({ pid: 1002, class: 'unfiltered', why: 'not reached yet' }),
    receiver({ pid: 1003, class: 'filtered', why: 'belongs to the host' }),
    receiver({ pid: 1004, class: 'allowed', why: 'its executable is on receivers.allow' }),
  ];
  const told = async (status: AgentStatus): Promise<string> => {
    const [document] = (await run({ status, receivers }, true)).printed as Document[];
    return document.degraded.map(({ what }: Document) => what).join('\n');
  };
  const hiding = await told(STATUS);
  assert.match(hiding, /pid 1001/);
  assert.match(hiding, /pid 1002/);
  assert.doesNotMatch(hiding, /pid 100[34]/);
  // Without a filter nobody is filtered: that is no surprise.
  assert.doesNotMatch(await told({ ...STATUS, filterMode: 'off' }), /pid 1002/);
});

test('the config shows each value and where it came from', async () => {
  const [document] = (await run(undefined, true)).printed as Document[];
  const mode = document.config.find(({ key }: Document) => key === 'filter.mode');
  assert.deepEqual(mode, { key: 'filter.mode', value: 'hide', origin: 'default' });
});

test('the name of a receiver’s process never reaches the terminal raw', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const receivers = [
      receiver({ command: name }),
      receiver({ command: name, class: 'unfiltered', why: name }),
    ];
    const { printed } = await run({ status: STATUS, receivers });
    const text = String(printed[0]);
    assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\u2028-\u202e\u2066-\u2069\u200f]/u, what);
    const plain = await run({
      status: STATUS,
      receivers: receivers.map((each) => ({ ...each, command: 'x', why: 'y' })),
    });
    assert.equal(text.split('\n').length, String(plain.printed[0]).split('\n').length, what);
  }
});

test('each receiver is a line that fits the terminal: who, where, what it gets and why', () => {
  const place = {
    runtime: 'systemd' as const,
    id: 'incus.service',
    unit: 'incus.service',
    confidence: 'high' as const,
    source: 'cgroup' as const,
    cgroup: '/system.slice/incus.service',
  };
  const rule = 'preset:incusd (unit:incus.service)';
  const list = [
    receiver({ command: 'incusd', place, class: 'allowed', rule, why: `is on receivers.allow: ${rule}` }),
    receiver({ pid: 100, gets: 'host', class: 'filtered', why: 'belongs to the host' }),
  ];
  const colors = chooseColors('never');
  const lines = (columns?: number): string[] =>
    alignedTable(list, RECEIVER_COLUMNS, { headings: true, colors, columns }).split('\n');
  assert.deepEqual(
    lines().map((line) => line.replace(/ {2,}/g, '|')),
    [
      'LISTENER|WHERE|GETS|WHY',
      `incusd[99]|incus.service|everything|is on receivers.allow: ${rule}`,
      'udevadm[100]|-|host’s|belongs to the host',
    ],
  );
  for (const columns of [60, 80, 100])
    for (const line of lines(columns)) assert.ok(textWidth(line) <= columns);
});
