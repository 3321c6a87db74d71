/** `devices`: what a person reads of all devices, and what a script gets. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { devices } from '../../src/commands/devices.js';
import { REFUSED_COLUMNS } from '../../src/commands/disk-columns.js';
import type { DeviceReport } from '../../src/web/agent-api.js';
import { deviceReport, freeDevice, hostDevice } from '../device-fixture.js';
import { WEB } from '../event-fixture.js';
import { type Run, runCommand } from './run-command.js';
import { assertHarmless, HOSTILE_NAMES } from './terminal.js';

const ORPHAN = deviceReport({
  name: 'loop6',
  devno: '7:6',
  orphan: true,
  sizeBytes: 10 << 20,
  container: null,
});
const ALL = [deviceReport(), hostDevice(), freeDevice(), ORPHAN];

function list(options: object = {}, json = false, answer: readonly DeviceReport[] = ALL): Promise<Run> {
  return runCommand(devices, { request: { '/api/v1/devices': answer } }, { options, json });
}

const names = async (options: object): Promise<string[]> =>
  (await list({ ...options, raw: true, noheadings: true, output: 'NAME' })).text.split('\n').filter(Boolean);

test('lists those with a file or a container’s, and with --all every one', async () => {
  assert.equal(
    (await list()).text,
    [
      'NAME   STATE  SIZE  OWNER   CONTAINER       USERNS   UID  HIDDEN  BACK-FILE',
      'loop3  bound    1M  userns  docker/web  4026532101  1000  yes     /srv/disk.img',
      'loop4  bound    1M  host    -                    -     -  no      /srv/disk.img',
      'loop6  bound   10M  orphan  -           4026532101  1000  yes     /srv/disk.img',
    ].join('\n'),
  );
  assert.deepEqual(await names({ all: true }), ['loop3', 'loop4', 'loop5', 'loop6']);
  assert.match((await list({}, false, [deviceReport({ state: 'unbound' })])).text, /^loop3 +unbound/m);
});

test('what stands on what is a column, and a list for a script', async () => {
  const mapped = deviceReport({ name: 'dm-3', backing: null, on: [['dm-1', 'loop5p1', 'loop5'], ['loop6']] });
  const options = { output: 'NAME,ON' };
  assert.equal(
    (await list(options, false, [mapped])).text,
    ['NAME  ON', 'dm-3  dm-1←loop5p1←loop5,loop6'].join('\n'),
  );
  assert.deepEqual((await list(options, true, [mapped])).printed, [
    [{ name: 'dm-3', on: [['dm-1', 'loop5p1', 'loop5'], ['loop6']] }],
  ]);
});

test('filters are joined, and reach devices that are not listed otherwise', async () => {
  assert.deepEqual(await names({ owner: 'host' }), ['loop4']);
  assert.deepEqual(await names({ owner: 'userns' }), ['loop3', 'loop6']);
  assert.deepEqual(await names({ owner: 'orphan' }), ['loop6']);
  assert.deepEqual(await names({ owner: 'unknown' }), ['loop5']);
  assert.deepEqual(await names({ owner: '4026532101' }), ['loop3', 'loop6']);
  assert.deepEqual(await names({ owner: '77' }), ['loop3', 'loop6']);
  assert.deepEqual(await names({ owner: '78' }), []);
  assert.deepEqual(await names({ state: 'unbound' }), ['loop5']);
  assert.deepEqual(await names({ orphans: true }), ['loop6']);
  assert.deepEqual(await names({ orphans: true, owner: 'host' }), []);
  for (const wanted of [
    'web',
    'docker/web',
    'docker/',
    WEB.id,
    WEB.id.slice(0, 12),
    `docker/${WEB.id.slice(0, 12)}`,
  ])
    assert.deepEqual(await names({ container: wanted }), ['loop3'], wanted);
  for (const wanted of ['we', 'podman/web', WEB.id.slice(0, 5), '', '/', 'docker'])
    assert.deepEqual(await names({ container: wanted }), [], wanted);
});

test('columns are chosen, added, sorted by, and refused with the nearest name', async () => {
  assert.equal(
    (await list({ output: 'name,maj:min,DISKSEQ' })).text.split('\n')[1],
    'loop3  7:3            9',
  );
  const added = (await list({ output: '+RULE' })).text.split('\n')[0];
  assert.match(added ?? '', /^NAME .* BACK-FILE +RULE$/);
  assert.deepEqual(await names({ all: true, sort: 'SIZE' }), ['loop5', 'loop3', 'loop4', 'loop6']);
  await assert.rejects(list({ output: 'NAME,OFSET' }), /no column "OFSET": did you mean OFFSET\?/);
  await assert.rejects(list({ output: ',' }), { code: 'ERR_USAGE' });
  await assert.rejects(list({ owner: 'me' }), { code: 'ERR_USAGE' });
  await assert.rejects(list({ state: 'open' }), { code: 'ERR_USAGE' });
});

/** The columns that a tool of util-linux says it has. */
function columnsOf(tool: string): string[] {
  const { stdout } = spawnSync(tool, ['--help'], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  const [, after = ''] = stdout.split('Available output columns:\n');
  return [...after.matchAll(/^ +([A-Z][A-Z0-9:%-]+) {2}/gm)].map(([, name = '']) => name);
}

test('every column of losetup and lsblk is one here, or is refused with the reason', async () => {
  const own = new Set((await list({ outputAll: true })).text.split('\n')[0]?.split(/ +/));
  const [losetup, lsblk] = [columnsOf('losetup'), columnsOf('lsblk')];
  assert.ok(losetup.length >= 12 && lsblk.length >= 50, `${losetup.length}, ${lsblk.length}`);
  for (const name of losetup) assert.ok(own.has(name) || REFUSED_COLUMNS.has(name), `losetup has ${name}`);
  for (const name of lsblk) assert.notEqual(own.has(name), REFUSED_COLUMNS.has(name), `lsblk has ${name}`);
  for (const name of ['OWNER', 'USERNS', 'CONTAINER', 'STATE', 'HIDDEN']) assert.ok(own.has(name));
  // By the old losetup's help alone nobody would know the new one's.
  assert.deepEqual(
    losetup.filter((name) => !own.has(name)),
    losetup.includes('REF') ? ['REF'] : [],
  );
});

test('what would have to be read from an image is refused, with another way', async () => {
  for (const name of ['FSTYPE', 'label', 'UUID', 'PTTYPE', 'PARTUUID'])
    await assert.rejects(list({ output: name }), /whoever attached that chose what is there.*lsblk -o/);
  await assert.rejects(list({ sort: 'UUID' }), { code: 'ERR_USAGE' });
  await assert.rejects(list({ output: 'SERIAL' }), /no hardware/);
});

test('what sysfs says of a device is the same as lsblk says, and of another life nothing', async (t) => {
  const columns = [
    'KNAME',
    'PATH',
    'RA',
    'ROTA',
    'PHY-SEC',
    'MIN-IO',
    'OPT-IO',
    'DISC-MAX',
    'RQ-SIZE',
    'MODE',
  ];
  const attribute = (name: string, file: string): string => {
    const path = `/sys/block/${name}/${file}`;
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
  };
  const shown = async (name: string, diskseq: bigint): Promise<string[]> => {
    const device = hostDevice({ name, devno: attribute(name, 'dev'), diskseq });
    const options = { output: columns.join(), raw: true, noheadings: true, bytes: true };
    return (await list(options, false, [device])).text.split(' ');
  };
  // Other tests come and go with devices of their own: one that stays as it is for a moment.
  for (const name of readdirSync('/sys/block').filter((each) => /^loop\d+$/.test(each))) {
    const diskseq = attribute(name, 'diskseq');
    const words = ['-a', '-b', '-d', '-n', '-r', '-o', columns.join(), `/dev/${name}`];
    const own = await shown(name, BigInt(diskseq || '0'));
    const lsblk = spawnSync('lsblk', words, { encoding: 'utf8' });
    const other = await shown(name, BigInt(diskseq || '0') + 1n);
    // It says nothing of a device without a node, or that has gone.
    if (lsblk.status !== 0 || lsblk.stdout === '' || attribute(name, 'diskseq') !== diskseq) continue;
    assert.deepEqual(own, lsblk.stdout.trim().split(' '));
    assert.equal(other[2], diskseq === '' ? own[2] : '""');
    return;
  }
  t.skip('this host has no loop device with a node at the moment');
});

test('--json is the whole report, and with columns an object of them with its types', async () => {
  assert.deepEqual((await list({}, true)).printed, [[ALL[0], ALL[1], ORPHAN]]);
  assert.deepEqual((await list({ output: 'NAME,SIZE,AUTOCLEAR,HIDDEN,CONTAINER' }, true)).printed[0], [
    { name: 'loop3', size: 1 << 20, autoclear: true, hidden: true, container: 'docker/web' },
    { name: 'loop4', size: 1 << 20, autoclear: true, hidden: false, container: null },
    { name: 'loop6', size: 10 << 20, autoclear: true, hidden: true, container: null },
  ]);
  await assert.rejects(list({ raw: true }, true), { code: 'ERR_USAGE' });
});

test('--raw has as many words a line as columns, whatever a file is called', async () => {
  const backing = { ...deviceReport().backing, path: '/srv/my disk \\ \t\n.img' } as DeviceReport['backing'];
  const { text } = await list({ raw: true, output: 'NAME,CONTAINER,BACK-FILE' }, false, [
    hostDevice({ backing }),
  ]);
  assert.deepEqual(
    text.split('\n').map((line) => line.split(' ').length),
    [3, 3],
  );
  assert.match(text, /^loop4 "" \/srv\/my\\x20disk\\x20/m);
});

test('without a device there is the heading, and without that nothing at all', async () => {
  assert.match((await list({}, false, [])).text, /^NAME .* BACK-FILE$/);
  assert.deepEqual((await list({ noheadings: true }, false, [])).printed, []);
  assert.deepEqual((await list({}, true, [])).printed, [[]]);
});

test('colours are only where they are asked for, and change nothing else', async () => {
  const plain = (await list()).text;
  assert.doesNotMatch(plain, /\p{Cc}(?<!\n)/u);
  const painted = (await list({ color: 'always' })).text;
  const control = String.fromCharCode(27);
  assert.ok(painted.includes(`${control}[31morphan${control}[39m`));
  assert.equal(
    painted
      .split(control)
      .map((part, at) => (at === 0 ? part : part.replace(/^\[\d+m/, '')))
      .join(''),
    plain,
  );
});

test('hostile names never reach the terminal raw', async () => {
  for (const [what, name] of Object.entries(HOSTILE_NAMES)) {
    const device = deviceReport({
      backing: { ...deviceReport().backing, path: name } as DeviceReport['backing'],
      attachedBy: { pid: 1, comm: name, uid: 0 },
      container: { ...WEB, id: name, name, pod: name },
    });
    assertHarmless((await list({ outputAll: true }, false, [device])).text, 2, what);
    assertHarmless((await list({ outputAll: true, raw: true }, false, [device])).text, 2, what);
  }
});
