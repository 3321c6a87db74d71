/** Memory of the agent under a Prometheus that scrapes every second, for an hour, and under none. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { ask as httpGet } from '../support/http-get.js';
import { tempImage } from '../support/image.js';
import { container } from '../support/shell.js';

const HOUR_OF_SCRAPES = 3600;
/** Until the compiler and the heap have settled. */
const WARM_UP = 400;
/** A young generation of the heap comes and goes; what leaks by each scrape or line would be more. */
const MOST_GROWTH_KIB = 24 << 10;

/** Of the agent's own pages, in KiB. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]);
}

test('a scrape leaves nothing behind: an hour of one a second costs no memory', async (t) => {
  const agent = await startAgent(t);
  const scrape = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n++) assert.equal((await httpGet(`${agent.url}/metrics`)).status, 200);
  };
  await scrape(WARM_UP);
  const before = memoryOf(agent.pid);
  await scrape(HOUR_OF_SCRAPES);
  const growth = memoryOf(agent.pid) - before;
  assert.ok(growth < MOST_GROWTH_KIB, `${growth} KiB`);
});

test('nothing waits for a scrape: whatever happens, the agent keeps as much as its limits say', async (t) => {
  const image = tempImage(t);
  const environment = agentEnvironment(t, { LOOPWARDEN_LIMITS_RECENT_EVENTS: '64' });
  const agent = await startAgent(t, environment);
  const cycles = (times: number) =>
    container(`for i in $(seq ${times}); do d=$(losetup -f --show ${image}); losetup -d $d; done`);
  await cycles(WARM_UP);
  const before = memoryOf(agent.pid);
  // Each has ten lines and more, and counts in every family.
  await cycles(WARM_UP * 3);
  const growth = memoryOf(agent.pid) - before;
  assert.ok(growth < MOST_GROWTH_KIB, `${growth} KiB`);
  const metrics = await agent.metrics();
  const attached = metrics.get('loopwarden_loop_ioctls_total{command="LOOP_CONFIGURE",result="ok"}') ?? 0;
  assert.ok(attached >= WARM_UP * 4, `${attached} were counted`);
});
