/** `loopwarden load` and `run --loaded`: who goes on with what, and who does not. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { loadAsUnit, startAsUnit } from '../support/agent-unit.js';
import { gateIds } from '../support/gate-ids.js';
import { proveHiding } from '../support/links.js';
import { command } from '../support/shell.js';
import { buildWithBpf } from '../support/variant.js';

const MAIN = join(PACKAGE_ROOT, 'dist/main.js');

test('run --loaded begins only where this very version has loaded, and leaves what is there', async (t) => {
  const environment = agentEnvironment(t);
  const refused = async (reason: RegExp): Promise<void> => {
    const { code, stderr } = await command(process.execPath, [MAIN, 'run', '--loaded'], environment.env);
    assert.equal(code, 1, stderr);
    assert.match(stderr, reason);
  };
  await refused(/nothing has been loaded/);
  const main = await buildWithBpf(t, {
    file: 'maps.bpf.h',
    from: 'struct inflight_entry, 8192',
    to: 'struct inflight_entry, 8191',
  });
  assert.equal((await loadAsUnit(environment, main)).code, 0);
  await refused(/another version/);
  // The other's report is in its place, and its programs act.
  assert.equal((await loadAsUnit(environment)).code, 0);
  const agent = await startAsUnit(t, environment);
  await proveHiding(t, agent);
});

test('load leaves a running agent alone, and one that loads by itself goes on with what was loaded', async (t) => {
  const environment = agentEnvironment(t);
  assert.equal((await loadAsUnit(environment)).code, 0);
  const ids = gateIds(environment);
  assert.equal((await loadAsUnit(environment)).code, 0);
  const agent = await startAgent(t, environment);
  assert.deepEqual(gateIds(environment), ids);
  const { code, stderr } = await loadAsUnit(environment);
  assert.equal(code, 1);
  assert.match(stderr, /another agent is running/);
  await proveHiding(t, agent);
});
