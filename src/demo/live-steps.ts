/** The steps of `loopwarden demo --live`, each by itself. */
import { dirname, join } from 'node:path';
import { OWN_DEV } from './container.js';
import type { Live } from './live.js';
import { eventually } from './wait.js';

export interface LiveStep {
  title: string;
  /** What will happen, and why that matters. */
  words: string;
  /** Not with an agent that was there before: it stops it. */
  ownAgentOnly?: true;
  act(live: Live): Promise<void>;
}

const MAPPED_ROOT = 100_000;
const MOST_LINES = 3;

export const LIVE_STEPS: readonly LiveStep[] = [
  {
    title: 'A loop device of the host',
    words:
      'The host attaches an image. Its udev gets the kernel’s event, as on any host: nothing of the host’s own is ever touched.',
    async act(live) {
      await live.monitor.catchUp(live.stop, true);
      const device = await live.host(`losetup -f --show ${live.image('host.img')}`);
      await live.host(`losetup -d ${device}`);
      await hears(live, device, true);
    },
  },
  {
    title: 'The same in a container',
    words:
      'A container, which is a user namespace, does the very same. The kernel sends the same events, but the host’s udev must not get any: it would open and probe a device that is none of its business.',
    async act(live) {
      await live.monitor.catchUp(live.stop, true);
      const container = await live.container();
      const device = await live.inside(container, `losetup -f --show ${live.image('container.img')}`);
      await live.inside(container, `losetup -d ${device}`);
      await hears(live, device, false);
    },
  },
  {
    title: 'Whose is it?',
    words:
      'Every device has an owner: the user namespace that attached its file. loopwarden names it, says what the host’s udev gets of the device, and by which rule.',
    async act(live) {
      const container = await live.container();
      const own = await live.host(`losetup -f --show ${live.image('host.img')}`);
      const device = await live.inside(container, `losetup -f --show ${live.image('container.img')}`);
      const list = await live.loopwarden([
        'devices',
        '--state',
        'bound',
        '-o',
        'NAME,OWNER,USERNS,HIDDEN,BACK-FILE',
      ]);
      const rowOf = (path: string): string =>
        list.split('\n').find((line) => line.startsWith(`${path.slice('/dev/'.length)} `)) ?? '';
      live.narrator.seen(/ host +- +no /.test(rowOf(own)), `${own} is the host’s, and not hidden`);
      live.narrator.seen(
        rowOf(device).includes(String(container.inum)) && / yes /.test(rowOf(device)),
        `${device} is of the user namespace ${container.inum}, and hidden`,
      );
      const story = await live.loopwarden(['explain', device]);
      live.narrator.seen(
        story.includes('rule holder'),
        'the rule that hides it is “holder”: a user namespace attached its file',
      );
    },
  },
  {
    title: 'Who did what, and what failed?',
    words:
      'Each loop ioctl is a line in the audit log: who, from where, on which device and file, with what result. The container tries to attach a file to a device that is in use.',
    async act(live) {
      const container = await live.container();
      const image = live.image('container.img');
      const device = await live.inside(container, `losetup -f --show ${image}`);
      await live.inside(container, `! losetup ${device} ${image} 2>/dev/null`);
      const failed = ['events', '--failed', '--device', device, '-n', '3'];
      await eventually(
        'the event is there',
        async () => (await live.agent.command(failed, live.stop)).stdout.includes('EBUSY'),
        { stop: live.stop },
      );
      const lines = await live.loopwarden(failed);
      live.narrator.seen(
        lines.includes('EBUSY') && lines.includes('losetup['),
        'the call that failed is there, with its error and its process',
      );
    },
  },
  {
    title: 'loopfs: loop devices of a container’s own',
    words:
      'A container that has no device node at all gets an instance: a loop-control and devices that only it sees. Unmodified losetup works in it, and whatever it leaves behind goes with it.',
    act: actLoopfs,
  },
  {
    title: 'The agent is killed',
    words:
      'Programs and owners live in the kernel. With the agent gone, hiding and recording go on; the next agent reads out what happened meanwhile.',
    ownAgentOnly: true,
    async act(live) {
      live.narrator.command('host', `kill -9 ${(await live.agent.status()).pid}`);
      await live.agent.end('SIGKILL');
      await live.monitor.catchUp(live.stop, true);
      const container = await live.container();
      const device = await live.inside(container, `losetup -f --show ${live.image('without-agent.img')}`);
      await live.inside(container, `losetup -d ${device}`);
      await hears(live, device, false);
      live.narrator.command('host', 'loopwarden run &');
      await live.agent.start(live.stop);
      const lines = await live.loopwarden(['events', '--device', device, '--command', 'configure']);
      live.narrator.seen(
        lines.includes('without-agent.img'),
        'the next agent has the line of what no agent saw',
      );
    },
  },
  {
    title: 'The log proves itself',
    words:
      'Lines are chained by signed checkpoints. Whoever changes, removes or adds one is found out, and the place is told.',
    act: actVerify,
  },
  {
    title: 'Uninstall',
    words:
      'The agent is stopped and everything taken off the kernel. Now the host’s udev hears of containers’ devices again, as on a host without loopwarden.',
    ownAgentOnly: true,
    async act(live) {
      await live.agent.end('SIGTERM');
      live.narrator.command('host', 'loopwarden uninstall');
      live.narrator.output(await live.agent.uninstall());
      await live.monitor.catchUp(live.stop, true);
      const container = await live.container();
      const device = await live.inside(container, `losetup -f --show ${live.image('after.img')}`);
      await live.inside(container, `losetup -d ${device}`);
      await hears(live, device, true);
    },
  },
];

/** Whether the host's listener has heard of the device. */
async function hears({ monitor, narrator, stop }: Live, device: string, wanted: boolean): Promise<void> {
  await monitor.catchUp(stop);
  const heard = monitor.heard(device);
  narrator.command('host', 'udevadm monitor -k');
  const more = heard.length > MOST_LINES ? [`and ${heard.length - MOST_LINES} more`] : [];
  narrator.output([...heard.slice(0, MOST_LINES), ...more].join('\n') || '(silence)');
  narrator.seen(
    heard.length > 0 === wanted,
    heard.length > 0 ? `the host’s udev heard of ${device}` : `the host’s udev heard nothing of ${device}`,
  );
}

async function actLoopfs(live: Live): Promise<void> {
  const { agent, cleanup, narrator } = live;
  narrator.command('host', 'loopwarden loopfs serve &');
  const serving = await agent.serve(['loopfs', 'serve']);
  cleanup.add(() => serving.stop());
  await eventually(
    'loopfs serves',
    () => {
      if (serving.child.exitCode !== null) throw new Error(serving.stderr().trim());
      return serving.stdout().includes('is serving');
    },
    { stop: live.stop },
  );
  const container = await live.container({ idBase: MAPPED_ROOT, own: true, prepare: OWN_DEV });
  cleanup.add(async () => void (await agent.command(['loopfs', 'detach', 'demo'])));
  await live.loopwarden(['loopfs', 'create', 'demo', '--max', '4', '--uid-base', String(MAPPED_ROOT)]);
  narrator.command('host', `loopwarden loopfs attach demo --pid ${container.pid}`);
  const attached = await agent.command(
    ['loopfs', 'attach', 'demo', '--pid', String(container.pid)],
    live.stop,
  );
  if (attached.code !== 0) throw new Error(attached.stderr.trim());
  await live.monitor.catchUp(live.stop, true);
  const device = await live.inside(
    container,
    `losetup -f --show ${live.image('loopfs.img', 64, MAPPED_ROOT)}`,
  );
  const nodes = await live.inside(container, 'ls /dev | grep loop | xargs');
  narrator.output(nodes);
  narrator.seen(
    nodes.includes(device.slice('/dev/'.length)),
    `the container has ${device}, and no other loop device`,
  );
  await hears(live, device, false);
  await live.loopwarden(['loopfs', 'list']);
  const ended = await live.loopwarden(['loopfs', 'detach', 'demo']);
  narrator.seen(ended.includes('1 devices removed'), 'the instance has ended, and its device with it');
}

async function actVerify(live: Live): Promise<void> {
  const { narrator, agent } = live;
  const { auditLog } = await agent.status();
  if (auditLog === '-')
    return narrator.output('the agent writes its log to stdout: there is no file to verify');
  const report = await live.loopwarden(['audit', 'verify'], true);
  narrator.seen(
    report.startsWith('fine') || report.includes('\nfine'),
    'every line is as the agent wrote it',
  );
  if (!agent.own) return;
  const copy = join(dirname(auditLog), 'changed.ndjson');
  await live.host(`sed '0,/"uid":0/s//"uid":7/' ${auditLog} > ${copy}`);
  const found = await live.loopwarden(['audit', 'verify', copy], true);
  narrator.seen(/finding/.test(found), 'one digit is another in a copy of the log: found, with its line');
}
