/**
 * What the record of one ioctl costs its caller: the bare ioctl, with empty programs on sys_enter and sys_exit, and with
 * the audit programs behind their gates, as the agent attaches them, in turn in one run. As root.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { listLoops } from '../src/devices/sysfs.js';
import { setBudgets } from '../src/events/budgets.js';
import { openEventRing } from '../src/events/ring.js';
import { openGates } from '../src/kernel/gates.js';
import { loadNative } from '../src/kernel/native.js';
import { PACKAGE_ROOT } from '../src/kernel/paths.js';
import { loadPrograms } from '../src/kernel/programs.js';
import { changeSettings } from '../src/kernel/settings.js';

const ROUNDS = 9;
const CALLS = 40_000;
const AUDIT = ['syscall_exit_tp_btf', 'syscall_enter_tp_btf'];

const folder = mkdtempSync(join(tmpdir(), 'loopwarden-bench-'));
const loop = join(folder, 'ioctl-loop');
const source = (name: string): string => join(PACKAGE_ROOT, 'bench', name);
const multiarch = execFileSync('gcc', ['-print-multiarch'], { encoding: 'utf8' }).trim();
execFileSync('gcc', ['-O2', '-o', loop, source('ioctl-loop.c')]);
execFileSync('clang', [
  '-g',
  '-O2',
  '-target',
  'bpf',
  `-I/usr/include/${multiarch}`,
  '-c',
  source('empty.bpf.c'),
  '-o',
  join(folder, 'empty.o'),
]);

const device = listLoops().findLast(({ backing }) => backing === null);
if (device === undefined) throw new Error('no unattached loop device');
const native = loadNative();
const empty = native.openObject(join(folder, 'empty.o'));
empty.load();
// Large enough that none is lost: a lost record costs less.
const audit = loadPrograms(native, { programs: AUDIT, reuse: new Map(), sizes: { events: 32 << 20 } });
changeSettings(audit.map('settings'), { mode: 'hide', udevTgid: 0 });
let records = 0;
const ring = openEventRing(native, audit.map('events'), async ({ events }) => {
  records += events.length;
});
await ring.start();

/** What is attached, to be closed after the measurement. */
type Attached = { close(): void };

function attachGates(): Attached {
  const gates = openGates(native, join(folder, 'not pinned'), AUDIT);
  gates.load(AUDIT);
  for (const name of AUDIT) {
    gates.attach(name);
    gates.fill(name, audit.program(name));
  }
  gates.switchSets();
  return gates;
}

const measure = async (attached: Attached[]): Promise<number> => {
  // Another process: this one's event loop must go on reading the ring.
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const { stdout } = await promisify(execFile)(loop, [`/dev/${device.name}`, String(CALLS)]);
  for (const each of attached) each.close();
  return Number(stdout);
};
/** 0: every call is recorded. */
const limitTo = (recordsPerSecond: number): void => {
  const map = audit.map('record_budgets');
  if (recordsPerSecond > 0) setBudgets(map, { ringBytes: audit.map('events').maxEntries, recordsPerSecond });
  else map.put(Buffer.alloc(4), Buffer.alloc(map.valueSize));
};
const kinds: Record<string, () => Attached[]> = {
  bare: () => [],
  empty: () => ['empty_enter', 'empty_exit'].map((name) => empty.program(name).attach()),
  audit: () => [attachGates(), { close: () => limitTo(1) }],
  // Root of the host has 16 times as many: some hundred of the calls.
  counted: () => [attachGates(), { close: () => limitTo(0) }],
};
const times: Record<string, number[]> = { bare: [], empty: [], audit: [], counted: [] };
for (let round = 0; round < ROUNDS; round++)
  for (const [kind, attach] of Object.entries(kinds)) times[kind]?.push(await measure(attach()));
await ring.readAll();
ring.close();
audit.close();
empty.close();
rmSync(folder, { recursive: true });

const median = (values: number[] = []): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const [bare, none, full, counted] = [
  median(times.bare),
  median(times.empty),
  median(times.audit),
  median(times.counted),
];
console.log(
  `${new Date().toISOString().slice(0, 10)}, Linux ${release()}, median of ${ROUNDS} × ${CALLS} ioctls`,
);
console.log(`bare ioctl           ${bare.toFixed(0)} ns`);
console.log(`+ empty tp_btf       ${none.toFixed(0)} ns  (${(none / bare).toFixed(2)} ×)`);
console.log(`+ gates and audit    ${full.toFixed(0)} ns  (${(full / bare).toFixed(2)} ×)`);
console.log(`+ counted instead    ${counted.toFixed(0)} ns  (${(counted / bare).toFixed(2)} ×)`);
console.log(`the record costs     ${(full - none).toFixed(0)} ns more than empty programs`);
console.log(`records read         ${records} of ${ROUNDS * CALLS}`);
