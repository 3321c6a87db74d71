/** The log of the real agent through kills, rotations and a logrotate's SIGHUP: no line lost or doubled, and it verifies. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { listLogParts } from '../../src/sinks/log-parts.js';
import { type AuditLine, agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

const OWN_ROTATION = { LOOPWARDEN_AUDIT_ROTATE_BYTES: '65536', LOOPWARDEN_AUDIT_KEEP_FILES: '0' };

function linesOf(path: string): AuditLine[] {
  return listLogParts(path).flatMap((part) =>
    readFileSync(part.path, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line)),
  );
}

test('kill -9 just after a rotation: nothing lost, nothing doubled, and the log verifies', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t, OWN_ROTATION);
  const { auditPath } = environment;
  let cycles = 0;
  const cycle = async (count: number): Promise<void> => {
    await host(`for i in $(seq ${count}); do d=$(losetup -f --show ${image}); losetup -d $d; done`);
    cycles += count;
  };
  let agent = await startAgent(t, environment);
  for (let kill = 1; kill <= 2; kill++) {
    while (!existsSync(`${auditPath}.${kill}`)) await cycle(5);
    await agent.stop('SIGKILL');
    // Recorded while no agent runs.
    await cycle(5);
    agent = await startAgent(t, environment);
  }
  assert.equal(await agent.stop(), 0, agent.log());

  const ours = linesOf(auditPath).filter(({ caller }) => caller?.comm === 'losetup');
  const keys = ours.map((line) => `${line.boot_ns} ${line.caller.tid} ${line.kind}`);
  assert.equal(new Set(keys).size, keys.length, 'nothing is there twice');
  const count = (name: string): number =>
    ours.filter(({ command, result }) => command === name && result === 'ok').length;
  assert.deepEqual([count('LOOP_CONFIGURE'), count('LOOP_CLR_FD')], [cycles, cycles]);
  const { code, stdout, stderr } = await agent.cli('audit', 'verify');
  assert.equal(code, 0, stdout + stderr);
  assert.equal(statSync(environment.env.LOOPWARDEN_AUDIT_KEY_PATH ?? '').mode & 0o777, 0o600);

  const rotated = `${auditPath}.1`;
  writeFileSync(rotated, readFileSync(rotated, 'utf8').replace('"LOOP_CLR_FD"', '"LOOP_SET_FD"'));
  const tampered = await agent.cli('audit', 'verify');
  assert.equal(tampered.code, 1);
  assert.match(tampered.stdout, /audit\.ndjson\.1:\d+-\d+ .*edited/);
});

test('goes on in the new file on SIGHUP, without losing a line', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const cycle = `d=$(losetup -f --show ${image}); losetup -d $d`;
  await host(cycle);
  await agent.settle();
  renameSync(agent.auditPath, `${agent.auditPath}.1`);
  await host(cycle);
  process.kill(agent.pid, 'SIGHUP');
  await eventually('the new file', () => existsSync(agent.auditPath) && statSync(agent.auditPath).size > 0);
  await host(cycle);
  assert.equal(await agent.stop(), 0, agent.log());
  const configured = linesOf(agent.auditPath).filter(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(configured.filter(({ caller }) => caller.comm === 'losetup').length, 3);
  const { code, stdout, stderr } = await agent.cli('audit', 'verify');
  assert.equal(code, 0, stdout + stderr);
});
