/** The real agent with real receivers: what losetup did is in the journal, in rsyslog and in an export. */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { agentEnvironment, startAgent } from '../support/agent-process.js';
import { tempImage } from '../support/image.js';
import { startJournald } from '../support/journald.js';
import { assertEcs, assertOcsf } from '../support/published-schema.js';
import { startRsyslogd } from '../support/rsyslogd.js';
import { host } from '../support/shell.js';
import { eventually } from '../support/wait.js';

test('every line of the log is in the journal and in syslog, in the schema of the config, and in an export', async (t) => {
  const [journald, rsyslogd] = [await startJournald(t), await startRsyslogd(t)];
  const image = tempImage(t);
  const environment = agentEnvironment(t, {
    LOOPWARDEN_AUDIT_OUTPUTS: 'journald,syslog',
    LOOPWARDEN_AUDIT_SCHEMA: 'ecs',
    LOOPWARDEN_AUDIT_SYSLOG_ADDRESS: rsyslogd.socket,
  });
  // The agent knows one place of the journal.
  const script = `mount -t tmpfs tmpfs /run/systemd; ln -s ${dirname(journald.socket)} /run/systemd/journal; exec "$0" "$@"`;
  const agent = await startAgent(t, environment, undefined, ['unshare', '-m', 'sh', '-ec', script]);
  await host(`d=$(losetup -f --show ${image}); losetup -d $d`);
  await agent.settle();
  const sent = (output: string) =>
    agent
      .metrics()
      .then((all) => all.get(`loopwarden_audit_output_lines_total{output="${output}",result="sent"}`));
  const lines = agent.audit();
  await eventually('both have all', async () => {
    const counts = [await sent('journald'), await sent('syslog')];
    return counts.every((count) => (count ?? 0) >= lines.length);
  });
  const wanted = lines.map(({ seq }) => seq);
  const first = <T>(all: readonly T[]): T[] => all.slice(0, wanted.length);

  const entries = first(await journald.entries());
  assert.deepEqual(
    entries.map((entry) => Number(entry.LOOPWARDEN_SEQ)),
    wanted,
  );
  const configured = entries.find((entry) => entry.LOOPWARDEN_COMMAND === 'LOOP_CONFIGURE');
  assert.match(String(configured?.MESSAGE), /^LOOP_CONFIGURE loop\d+: ok, losetup\[\d+\]/);
  assert.equal(configured?.LOOPWARDEN_BACKING_PATH, image);
  assert.equal(configured?._COMM, 'node');
  for (const entry of entries) assertEcs(JSON.parse(String(entry.LOOPWARDEN_LINE)));

  const messages = first(rsyslogd.messages()).map(({ message }) => JSON.parse(message));
  for (const message of messages) assertEcs(message);
  assert.deepEqual(
    messages.map(({ event }) => event.sequence),
    wanted,
  );

  const { code, stdout, stderr } = await agent.cli('audit', 'export', '--schema', 'ocsf');
  assert.deepEqual([code, stderr], [0, '']);
  const exported = stdout
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text));
  for (const event of exported) assertOcsf(event);
  assert.deepEqual(
    first(exported).map(({ metadata }) => metadata.sequence),
    wanted,
  );
});
