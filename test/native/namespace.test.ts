import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { code, native, within } from './support.js';

function inumOf(path: string): number {
  return Number(/\[(\d+)\]/.exec(readlinkSync(path))?.[1]);
}

test('names a namespace by its inum and, where the kernel has one, its id', () => {
  const own = native.namespaceIdentity('/proc/self/ns/user');
  assert.equal(own.inum, inumOf('/proc/self/ns/user'));
  assert.ok(own.id === null || own.id > 0n);
  assert.equal(own.ownerUid, 0);
});

test('has no owner for other kinds of namespace', () => {
  const net = native.namespaceIdentity('/proc/self/ns/net');
  assert.equal(net.inum, inumOf('/proc/self/ns/net'));
  assert.equal(net.ownerUid, null);
});

test("tells a child's user namespace from our own", async () => {
  const child = spawn('unshare', ['-Ur', 'sh', '-c', 'echo ready; read -r line']);
  try {
    await within(10_000, 'namespace', once(child.stdout, 'data'));
    const path = `/proc/${child.pid}/ns/user`;
    const theirs = native.namespaceIdentity(path);
    const own = native.namespaceIdentity('/proc/self/ns/user');
    assert.equal(theirs.inum, inumOf(path));
    assert.notEqual(theirs.inum, own.inum);
    if (own.id !== null) assert.notEqual(theirs.id, own.id);
  } finally {
    child.kill('SIGKILL');
  }
});

test('refuses what is no namespace', () => {
  assert.throws(() => native.namespaceIdentity('/proc/self/status'), code('EINVAL'));
  assert.throws(() => native.namespaceIdentity('/proc/self/ns/absent'), code('ENOENT'));
  assert.throws(() => native.namespaceIdentity(''), TypeError);
  assert.throws(() => native.namespaceIdentity('/proc/self/ns/user\0'), TypeError);
});

test('may use bpf(2) here and knows its libbpf', () => {
  assert.equal(native.probeBpf(), 0);
  assert.match(native.libbpfVersion(), /^1\.\d+$/);
});
