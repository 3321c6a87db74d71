/** `doctor --fix`: what it finds, that it mends just that, and that it finds nothing afterwards. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mendHost, type Patient } from '../../src/commands/mends.js';
import { defer } from '../support/defer.js';
import { command } from '../support/shell.js';
import { tempFolder } from '../support/temp-folder.js';
import { LOADED } from './run-command.js';

/** A host with nothing to mend, as far as this machine's own state goes. */
function patientIn(folder: string, auditPath = join(folder, 'audit.ndjson')): Patient & { mounts: string[] } {
  const mounts: string[] = [];
  return {
    mounts,
    config: {
      ...LOADED.config,
      audit: { ...LOADED.config.audit, path: auditPath },
      pins: { path: join(folder, 'pins') },
      api: { socket: join(folder, 'api.sock') },
      loopfs: { ...LOADED.config.loopfs, socket: join(folder, 'loopfs.sock') },
    },
    configPath: join(folder, 'config.yaml'),
    mountBpffs: (path) => mounts.push(path),
  };
}

/** As an agent that was killed leaves it. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await command(process.execPath, ['-e', script]);
  assert.ok(existsSync(path));
}

async function listen(t: TestContext, path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  defer(t, () => new Promise((resolve) => server.close(resolve)));
}

test('finds nothing on a host that is well', async (t) => {
  const folder = tempFolder(t);
  const patient = patientIn(folder);
  await listen(t, patient.config.api.socket);
  writeFileSync(patient.configPath, 'filter:\n  mode: hide\n', { mode: 0o644 });
  assert.deepEqual(await mendHost(patient, true), []);
  assert.ok(existsSync(patient.config.api.socket));
  assert.equal(statSync(patient.configPath).mode & 0o777, 0o644);
});

test('without --fix it tells what it would do, and does nothing', async (t) => {
  const folder = tempFolder(t);
  const patient = patientIn(folder, join(folder, 'log/deep/audit.ndjson'));
  await leaveSocket(patient.config.api.socket);
  const reports = await mendHost(patient, false);
  assert.deepEqual(
    reports.map(({ remedy, mended }) => [remedy, mended]),
    [
      [`mkdir -m 0750 ${folder}/log/deep`, null],
      [`rm ${folder}/api.sock`, null],
    ],
  );
  assert.ok(existsSync(patient.config.api.socket));
  assert.ok(!existsSync(join(folder, 'log')));
});

test('mends each, and finds nothing the second time', async (t) => {
  const folder = tempFolder(t);
  const patient = patientIn(folder, join(folder, 'log/deep/audit.ndjson'));
  await leaveSocket(patient.config.api.socket);
  await leaveSocket(patient.config.loopfs.socket);
  writeFileSync(patient.configPath, 'filter:\n  mode: hide\n');
  chmodSync(patient.configPath, 0o666);
  chownSync(patient.configPath, 1000, 1000);
  const reports = await mendHost(patient, true);
  assert.deepEqual(
    reports.map(({ mended }) => mended),
    [true, true, true, true],
  );
  assert.match(reports[0]?.what ?? '', /uid 1000 may change it/);
  const config = statSync(patient.configPath);
  assert.deepEqual([config.uid, config.gid, config.mode & 0o777], [0, 1000, 0o644]);
  assert.equal(readFileSync(patient.configPath, 'utf8'), 'filter:\n  mode: hide\n');
  assert.equal(statSync(join(folder, 'log/deep')).mode & 0o777, 0o750);
  assert.ok(!existsSync(patient.config.api.socket) && !existsSync(patient.config.loopfs.socket));
  assert.deepEqual(await mendHost(patient, true), []);
});

test('a file in the place of a socket is nobody’s leftover', async (t) => {
  const patient = patientIn(tempFolder(t));
  writeFileSync(patient.config.api.socket, 'precious');
  assert.deepEqual(await mendHost(patient, true), []);
  assert.equal(readFileSync(patient.config.api.socket, 'utf8'), 'precious');
});

test('what cannot be mended is told with the reason, and the rest is mended all the same', async (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'log'), 'a file');
  const patient = patientIn(folder, join(folder, 'log/deep/audit.ndjson'));
  await leaveSocket(patient.config.api.socket);
  const [log, socket] = await mendHost(patient, true);
  assert.equal(log?.mended, false);
  assert.match(log?.reason ?? '', /ENOTDIR/);
  assert.equal(socket?.mended, true);
});

test('a log on stdout needs no folder', async (t) => {
  assert.deepEqual(await mendHost(patientIn(tempFolder(t), '-'), true), []);
});
