import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compile, runScript } from './support.js';

const ringPath = JSON.stringify(compile('ring'));
const tracingPath = JSON.stringify(compile('tracing'));

test('objects that nobody closed are collected quietly', async () => {
  const { status, stderr } = await runScript(
    `
    for (let round = 0; round < 50; round++) {
      const loaded = object(${tracingPath});
      const program = loaded.program('count_exits');
      program.attach(); loaded.map('exits'); native.openBtf(${tracingPath}); native.openUeventListener();
      if (round % 10 === 0) gc();
    }
    setImmediate(() => { gc(); setImmediate(() => {
      const open = require('node:fs').readdirSync('/proc/self/fd').length;
      if (open > 60) { console.error('open files: ' + open); process.exit(1); }
    }); });`,
    ['--expose-gc'],
  );
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('a forgotten reader goes on reading', async () => {
  const { status, stdout } = await runScript(
    `
    const loaded = object(${ringPath});
    (() => { native.openRingReader(loaded.map('ring'), (batch, count) => { console.log(count); process.exit(0); }); })();
    gc(); gc();
    setImmediate(() => { gc(); loaded.program('fill').testRun(Buffer.alloc(64), 3); });`,
    ['--expose-gc'],
  );
  assert.equal(stdout, '3\n');
  assert.equal(status, 0);
});

test('an exception of a callback is an uncaught exception, and the reader goes on', async () => {
  const { status, stdout, stderr } = await runScript(`
    const loaded = object(${ringPath});
    const fill = loaded.program('fill');
    let calls = 0;
    const reader = native.openRingReader(loaded.map('ring'), () => {
      if (++calls === 2) { reader.close(); return; }
      throw new Error('first');
    });
    process.on('uncaughtException', (error) => { console.log(error.message); fill.testRun(Buffer.alloc(64)); });
    fill.testRun(Buffer.alloc(64));`);
  assert.equal(stderr, '');
  assert.equal(stdout, 'first\n');
  assert.equal(status, 0);
});

test('an exception that nobody handles ends the process as usual', async () => {
  for (const thrown of ['new Error("unhandled")', '"unhandled"', 'null']) {
    const { status, signal, stderr } = await runScript(`
      const loaded = object(${ringPath});
      native.openRingReader(loaded.map('ring'), () => { throw ${thrown}; });
      loaded.program('fill').testRun(Buffer.alloc(64));`);
    assert.equal(signal, null);
    assert.equal(status, 1, stderr);
  }
});

test("an exception of the watch's callback is an uncaught exception too", async () => {
  const { status, stdout, stderr } = await runScript(`
    const loaded = object(${ringPath});
    const packet = Buffer.alloc(54);
    packet.writeUInt32LE(process.pid, 14 + 24);
    native.watchReceivers(loaded.map('ring'), null, () => { throw new Error('heard'); });
    const waiting = setTimeout(() => process.exit(3), 10000);
    process.on('uncaughtException', (error) => { console.log(error.message); clearTimeout(waiting); });
    loaded.program('copy').testRun(packet);`);
  assert.equal(stderr, '');
  assert.equal(stdout, 'heard\n');
  assert.equal(status, 0);
});

test('a watch or an unreferenced reader keeps no process alive', async () => {
  const { status, signal } = await runScript(`
    const loaded = object(${ringPath});
    native.watchReceivers(loaded.map('ring'), null, () => {});
    native.openRingReader(object(${ringPath}).map('ring'), () => {}).unref();`);
  assert.equal(signal, null);
  assert.equal(status, 0);
});

test('a process may exit with all of it under way', async () => {
  const { status, signal, stderr } = await runScript(`
    const loaded = object(${ringPath});
    const fill = loaded.program('fill');
    native.openRingReader(loaded.map('ring'), () => process.exit(7));
    native.watchReceivers(object(${ringPath}).map('ring'), fill, () => {});
    object(${tracingPath}).program('count_exits').attach();
    fill.testRun(Buffer.alloc(64), 1000);`);
  assert.equal(signal, null);
  assert.equal(status, 7, stderr);
});

test('worker threads may use it, end and be ended', async () => {
  const { status, signal, stdout, stderr } = await runScript(`
    const { Worker } = require('node:worker_threads');
    const body = (end) => \`
      const native = require('node-gyp-build')(\${JSON.stringify(process.cwd())});
      const loaded = native.openObject(${ringPath});
      loaded.load();
      const ring = loaded.map('ring');
      native.openRingReader(ring, (batch, count) => { \${end} });
      const other = native.openObject(${ringPath});
      other.load();
      native.watchReceivers(other.map('ring'), null, () => {});
      loaded.program('fill').testRun(Buffer.alloc(64), 10);\`;
    const ends = [
      "require('node:worker_threads').parentPort.postMessage(count)",
      'process.exit(0)',
      "throw new Error('in a worker')",
      'for (;;) {}',
    ];
    (async () => {
      for (let round = 0; round < 3; round++) for (const end of ends) {
        const worker = new Worker(body(end), { eval: true });
        const ended = new Promise((resolve) => worker.once('exit', resolve));
        worker.once('error', () => {});
        worker.once('message', () => worker.terminate());
        if (end.startsWith('for')) worker.once('online', () => setTimeout(() => worker.terminate(), 300));
        await ended;
      }
      console.log('all ended');
    })();`);
  assert.equal(stdout, 'all ended\n', stderr);
  assert.equal(signal, null);
  assert.equal(status, 0);
});
