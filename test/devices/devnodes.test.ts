import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { devnoOf } from '../../src/devices/devno.js';
import { createDeviceNodes, restoreNodes } from '../../src/devices/devnodes.js';
import type { Devtmpfs, NodeAttributes } from '../../src/devices/devtmpfs.js';
import { openNodeRecords } from '../../src/devices/node-records.js';
import { tempFolder } from '../support/temp-folder.js';

const DISK = devnoOf(7, 36_100);
const PART = devnoOf(259, 1);
const OTHER = devnoOf(7, 5);
const node = (devno: number): NodeAttributes => ({ devno, mode: 0o640, uid: 0, gid: 6 });

/** A host of one disk with a partition, in memory: the real devtmpfs is in test/kernel/devnode.test.ts. */
function stage(t: TestContext) {
  const statePath = join(tempFolder(t), 'state/devnodes.json');
  const dev = new Map<string, NodeAttributes>([
    ['loop36100', node(DISK)],
    ['loop36100p1', node(PART)],
    ['loop5', node(OTHER)],
  ]);
  const disks = new Map([
    [
      'loop36100',
      new Map([
        ['loop36100', DISK],
        ['loop36100p1', PART],
      ]),
    ],
    ['loop5', new Map([['loop5', OTHER]])],
  ]);
  const hidden = new Set<string>();
  const troubles: unknown[] = [];
  const devtmpfs: Devtmpfs = {
    pathOf: (name) => `/dev/${name}`,
    read: (name) => dev.get(name),
    take: (name, devno) => dev.get(name)?.devno === devno && dev.delete(name),
    put(name, { devno, mode, uid, gid }) {
      if (dev.has(name)) return false;
      dev.set(name, { devno, mode, uid, gid });
      return true;
    },
    withHiddenNode: (name, _, use) => use(`/dev/.hidden/${name}`),
    check() {},
    close() {},
  };
  const nodesOf = (disk: string): ReadonlyMap<string, number> => disks.get(disk) ?? new Map();
  const open = () =>
    createDeviceNodes(
      devtmpfs,
      openNodeRecords(statePath),
      { nodesOf, isHidden: (disk) => hidden.has(disk) },
      (_, error) => troubles.push(error),
    );
  return { statePath, dev, disks, hidden, troubles, devtmpfs, nodesOf, open };
}

test('the nodes of a hidden disk are away, and back as they were', (t) => {
  const { dev, hidden, open, statePath } = stage(t);
  const nodes = open();
  nodes.settle('loop36100');
  assert.equal(dev.size, 3);
  hidden.add('loop36100');
  nodes.settle('loop36100');
  assert.deepEqual([[...dev.keys()], nodes.hidden()], [['loop5'], 2]);
  hidden.clear();
  nodes.settle('loop36100');
  assert.deepEqual([dev.get('loop36100'), dev.get('loop36100p1')], [node(DISK), node(PART)]);
  assert.equal(nodes.hidden(), 0);
  assert.ok(existsSync(statePath), 'they are ours to remove');
});

test('another agent goes on from the records', async (t) => {
  const { dev, hidden, open } = stage(t);
  hidden.add('loop36100');
  open().settle('loop36100');
  const next = open();
  assert.equal(next.hidden(), 2);
  assert.equal(await next.withNode('loop36100', DISK, async (path) => path), '/dev/.hidden/loop36100');
  assert.equal(await next.withNode('loop5', OTHER, async (path) => path), '/dev/loop5');
  hidden.clear();
  next.settleAll(['loop5']);
  assert.equal(dev.size, 3);
});

test('a node that was put back goes with its device, whoever runs then; the kernel’s own are the kernel’s', (t) => {
  const { dev, disks, hidden, open, statePath } = stage(t);
  hidden.add('loop36100');
  const first = open();
  first.settle('loop36100');
  hidden.clear();
  first.settle('loop36100');
  disks.get('loop36100')?.delete('loop36100p1');
  open().settle('loop36100');
  assert.deepEqual([...dev.keys()].sort(), ['loop36100', 'loop5']);
  disks.delete('loop36100');
  open().settleAll([]);
  assert.deepEqual([...dev.keys()], ['loop5']);
  assert.ok(!existsSync(statePath));
  disks.delete('loop5');
  open().settleAll(['loop5']);
  assert.deepEqual([...dev.keys()], ['loop5']);
});

test('what has the name of a node and is not it is neither taken nor replaced', (t) => {
  const { dev, hidden, open } = stage(t);
  const nodes = open();
  dev.set('loop36100', node(OTHER));
  hidden.add('loop36100');
  nodes.settle('loop36100');
  assert.deepEqual([dev.get('loop36100'), nodes.hidden()], [node(OTHER), 1]);
  dev.set('loop36100p1', node(OTHER));
  hidden.clear();
  nodes.settle('loop36100');
  assert.deepEqual([dev.get('loop36100p1'), nodes.hidden()], [node(OTHER), 0]);
});

test('a device that goes in the moment of its node’s return leaves none', (t) => {
  const { dev, disks, hidden, devtmpfs, open } = stage(t);
  const nodes = open();
  hidden.add('loop36100');
  nodes.settle('loop36100');
  hidden.clear();
  const put = devtmpfs.put;
  devtmpfs.put = (name, attributes) => {
    disks.delete('loop36100');
    return put(name, attributes);
  };
  nodes.settle('loop36100');
  assert.deepEqual([...dev.keys()], ['loop5']);
});

test('what cannot be put back is told, kept on record, and tried again', (t) => {
  const { dev, hidden, troubles, devtmpfs, open } = stage(t);
  const nodes = open();
  hidden.add('loop36100');
  nodes.settle('loop36100');
  hidden.clear();
  const put = devtmpfs.put;
  devtmpfs.put = () => {
    throw new Error('EPERM');
  };
  nodes.settle('loop36100');
  assert.deepEqual([troubles.length, nodes.hidden()], [1, 2]);
  devtmpfs.put = put;
  nodes.settle('loop36100');
  assert.equal(dev.size, 3);
});

test('uninstall puts all back, and a file of records that is none is no record', (t) => {
  const { dev, hidden, devtmpfs, nodesOf, open, statePath } = stage(t);
  hidden.add('loop36100');
  open().settle('loop36100');
  assert.equal(restoreNodes(devtmpfs, openNodeRecords(statePath), nodesOf), 2);
  assert.deepEqual([dev.size, existsSync(statePath)], [3, false]);
  hidden.clear();
  for (const text of [
    '{',
    '[]',
    'null',
    '{"../../etc/passwd":{"devno":1,"mode":438,"uid":0,"gid":0}}',
    '{"loop1":{"devno":1,"mode":2541,"uid":0,"gid":0},"loop2":null,"loop3":{"devno":-1,"mode":0,"uid":0,"gid":0}}',
  ]) {
    writeFileSync(statePath, text);
    assert.deepEqual(openNodeRecords(statePath).all(), [], text);
  }
  assert.ok(readFileSync(statePath, 'utf8').length > 0, 'it is left for a person');
});
