/** Every loop ioctl is one line of the log that says who did what to which device, with what result. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { type AuditLine, startAgent } from '../support/agent-process.js';
import { defer } from '../support/defer.js';
import { tempImage } from '../support/image.js';
import {
  ioctls,
  LOOP_CLR_FD,
  LOOP_CTL_ADD,
  LOOP_CTL_GET_FREE,
  LOOP_CTL_REMOVE,
  LOOP_SET_FD,
} from '../support/ioctl.js';
import { container, host, openContainer } from '../support/shell.js';
import { buildTool } from '../support/tool.js';

const ioctlLines = (audit: AuditLine[]): AuditLine[] => audit.filter((line) => line.kind === 'ioctl');

test('writes the whole life of a device, from losetup on the host', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const device = await host(`losetup -f --show -o 4096 --sizelimit 1048576 -r ${image}`);
  const attached = await agent.json('explain', device);
  await host(`losetup -d ${device}`);
  await agent.settle();

  const [getFree, configure, clear] = ioctlLines(agent.audit()).filter(
    (line) => line.caller.comm === 'losetup',
  );
  const { ino } = statSync(image);
  assert.equal(getFree.command, 'LOOP_CTL_GET_FREE');
  assert.equal(`/dev/${getFree.device.name}`, device);
  assert.equal(configure.command, 'LOOP_CONFIGURE');
  assert.deepEqual(configure.backing.path, image);
  assert.equal(configure.backing.inode, ino);
  assert.deepEqual(configure.config, {
    offset: 4096,
    sizelimit: 1048576,
    flags: ['READ_ONLY'],
    block_size: 512,
  });
  assert.equal(configure.owner.after, 3);
  assert.equal(configure.caller.uid, 0);
  assert.equal(configure.caller.userns.level, 0);
  assert.equal(configure.arch, 'x86_64');
  assert.equal(clear.command, 'LOOP_CLR_FD');
  assert.equal(clear.backing?.path ?? image, image);
  assert.equal(clear.owner.before, 3);
  assert.ok(Number(configure.device.diskseq) <= Number(clear.device.diskseq));
  assert.equal(attached.owner.class, 'initial');
  assert.equal(attached.backing.path, image);
  assert.equal(attached.hidden, false);
});

test('names every command of the loop driver, with its result, by native callers', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const device = await host(`losetup -f --show ${image}`);
  const buffer = 'buffer:304';
  const calls: [number, number | string, string][] = [
    [0x4c00, `fd:${image}`, 'LOOP_SET_FD'],
    [0x4c02, buffer, 'LOOP_SET_STATUS'],
    [0x4c03, buffer, 'LOOP_GET_STATUS'],
    [0x4c04, buffer, 'LOOP_SET_STATUS64'],
    [0x4c05, buffer, 'LOOP_GET_STATUS64'],
    [0x4c06, `fd:${image}`, 'LOOP_CHANGE_FD'],
    [0x4c07, 0, 'LOOP_SET_CAPACITY'],
    [0x4c08, 0, 'LOOP_SET_DIRECT_IO'],
    [0x4c09, 4096, 'LOOP_SET_BLOCK_SIZE'],
    [0x4c0a, buffer, 'LOOP_CONFIGURE'],
    [0x4c01, 0, 'LOOP_CLR_FD'],
  ];
  const printed = (
    await host(
      ioctls(
        device,
        calls.map(([request, argument]) => [request, argument]),
      ),
    )
  ).split('\n');
  await agent.settle();

  const lines = ioctlLines(agent.audit()).filter((line) => line.caller.comm === 'python3');
  assert.deepEqual(
    lines.map((line) => line.command),
    calls.map(([, , name]) => name),
  );
  // What the caller got is what the log says: 0 and more is ok, else the errno.
  assert.deepEqual(
    lines.map((line) => line.result),
    printed.map((result) => (/^E/.test(result) ? result : 'ok')),
  );
  assert.ok(printed.includes('EBUSY'), 'some of them fail');
});

test('attributes failed ioctls of a user namespace, which change nothing', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const device = await host(`losetup -f --show ${image}`);
  const printed = await container(
    [
      ioctls(device, [
        [LOOP_SET_FD, `fd:${image}`],
        [0x4c0a, 'buffer:304'],
      ]),
      ioctls('/dev/loop-control', [
        [LOOP_CTL_ADD, 0],
        [LOOP_CTL_REMOVE, 1048575],
        [LOOP_CTL_REMOVE, -1],
      ]),
    ].join('; '),
  );
  await agent.settle();

  assert.deepEqual(printed.split('\n'), ['EBUSY', 'EBUSY', 'EEXIST', 'ENODEV', 'EINVAL']);
  const lines = ioctlLines(agent.audit()).filter((line) => line.caller.userns.level > 0);
  assert.deepEqual(
    lines.map((line) => `${line.command} ${line.result}`),
    [
      'LOOP_SET_FD EBUSY',
      'LOOP_CONFIGURE EBUSY',
      'LOOP_CTL_ADD EEXIST',
      'LOOP_CTL_REMOVE ENODEV',
      'LOOP_CTL_REMOVE EINVAL',
    ],
  );
  const report = await agent.json('explain', device);
  assert.equal(report.owner.class, 'initial');
  assert.equal(report.hidden, false);
});

test('sees a 32-bit caller, and says that it is one', async (t) => {
  const program = await buildTool(t, 'compat-ioctl');
  const agent = await startAgent(t);
  const number = Number(await container(`${program} /dev/loop-control ${LOOP_CTL_GET_FREE} 0`));
  await agent.settle();

  assert.ok(number >= 0, 'this kernel serves 32-bit callers');
  const [line] = ioctlLines(agent.audit()).filter((each) => each.caller.comm === 'compat-ioctl');
  assert.equal(line.arch, 'i386');
  assert.equal(line.command, 'LOOP_CTL_GET_FREE');
  assert.equal(line.device.name, `loop${number}`);
  assert.equal(line.result, 'ok');
});

test('writes nothing for ioctls of the same number on files that are no loop devices', async (t) => {
  const agent = await startAgent(t);
  await host(
    `${ioctls('/dev/null', [
      [LOOP_CLR_FD, 0],
      [LOOP_CTL_ADD, 5],
    ])}; ${ioctls('/dev/loop-control', [[LOOP_CLR_FD, 0]])}`,
  );
  await agent.settle();
  assert.deepEqual(ioctlLines(agent.audit()), []);
});

test('tells the end of a life that no ioctl ended: autoclear on the last close', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  const box = await openContainer();
  defer(t, () => box.leave());
  // The device is held open over the detach, so that the last close ends it.
  await box.run(`d=$(losetup -f --show ${image}); exec 7<$d; losetup -d $d; exec 7<&-`);
  await agent.settle();

  const audit = agent.audit();
  const configure = audit.find((line) => line.command === 'LOOP_CONFIGURE');
  const ends = audit.filter((line) => line.kind === 'life');
  assert.equal(ends.length, 1);
  assert.equal(ends[0].command, 'release');
  assert.equal(ends[0].device.name, configure.device.name);
  assert.equal(ends[0].device.diskseq, configure.device.diskseq);
  assert.equal(ends[0].owner.before, configure.caller.userns.id);
  assert.equal(ends[0].backing.path, image);
});

test('keeps its numbers without a hole, and counts what it wrote', async (t) => {
  const image = tempImage(t);
  const agent = await startAgent(t);
  await container(`for i in 1 2 3 4 5; do d=$(losetup -f --show ${image}); losetup -d $d; done`);
  await agent.settle();

  const audit = agent.audit();
  assert.deepEqual(
    audit.map((line) => line.seq),
    audit.map((_, index) => index + 1),
  );
  const metrics = await agent.metrics();
  const count = (name: string): number =>
    metrics.get(`loopwarden_loop_ioctls_total{command="${name}",result="ok"}`) ?? Number.NaN;
  assert.deepEqual([count('LOOP_CTL_GET_FREE'), count('LOOP_CONFIGURE'), count('LOOP_CLR_FD')], [5, 5, 5]);
  assert.equal(metrics.get('loopwarden_loop_ioctl_duration_seconds_count{command="LOOP_CONFIGURE"}'), 5);
});
