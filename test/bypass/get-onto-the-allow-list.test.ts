/** The attacker listens as somebody who is on receivers.allow: by a name, a path, a cgroup or a unit of its own making. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeCgroup } from '../support/cgroup.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { type PlainReceiver, startReceiverBy } from '../support/receiver.js';
import { container, host } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { tempFolder } from '../support/temp-folder.js';

const NUMBER = 35_001;
const UNIT = 'lw-listed.service';
const USER_MANAGER = '/user.slice/user-1000.slice/user@1000.service/app.slice';

interface Place {
  /** The executable that is on the list. */
  listed: string;
  /** Path of a cgroup, made for the test; what it is to be for who enters it. */
  cgroup(path: string): string;
}

/** Shell words that end with a Python. */
type Start = (place: Place) => string[];

const inCgroup = (folder: string): string[] => [
  'sh',
  '-c',
  'echo $$ > "$0/cgroup.procs"; exec "$@"',
  folder,
  'python3',
];
const scope = (): string => `/bypass.slice/docker-${randomBytes(32).toString('hex')}.scope`;

/** Each has its counterpart below: the real one, who hears. */
const TRICKS: { name: string; start: Start }[] = [
  {
    name: 'another file at the executable’s path, in a mount namespace of its own',
    start: ({ listed }) => [
      'unshare',
      '-m',
      'sh',
      '-c',
      'mount --bind "$(readlink -f /usr/bin/python3)" "$0"; exec "$0" "$@"',
      listed,
    ],
  },
  {
    name: 'the executable itself, as root of a user namespace',
    start: ({ listed }) => ['unshare', '-Ur', listed],
  },
  {
    name: 'the executable itself, as an ordinary user, who may give it a library of his own',
    start: ({ listed }) => ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', listed],
  },
  {
    name: 'the executable itself, in a rootful container that has been given it',
    start: ({ listed }) => ['unshare', '-m', '-p', '-f', '--kill-child', listed],
  },
  {
    name: 'the name of the unit, below a container’s own cgroup',
    start: ({ cgroup }) => inCgroup(cgroup(`${scope()}/system.slice/${UNIT}`)),
  },
  {
    name: 'a unit of that name of a user’s own manager',
    start: ({ cgroup }) => inCgroup(cgroup(`${USER_MANAGER}/${UNIT}`)),
  },
  {
    name: 'a container that the unit runs in its own cgroup',
    start: ({ cgroup }) =>
      inCgroup(cgroup(`/system.slice/${UNIT}/libpod-payload-${randomBytes(32).toString('hex')}`)),
  },
  {
    name: 'the path of the cgroup, below a container’s own',
    start: ({ cgroup }) => inCgroup(cgroup(`${scope()}/lw-listed`)),
  },
  {
    name: 'the executable’s name as its own',
    start: () => ['bash', '-c', 'exec -a "$0" python3 "$@"', 'listed'],
  },
];

const REAL: Record<string, Start> = {
  executable: ({ listed }) => [listed],
  unit: ({ cgroup }) => inCgroup(cgroup(`/system.slice/${UNIT}`)),
  cgroup: ({ cgroup }) => inCgroup(cgroup('/lw-listed')),
};

async function stageWith(t: TestContext) {
  const folder = tempFolder(t);
  await host(`chmod 755 ${folder}`);
  const listed = join(folder, 'listed');
  copyFileSync(await host('readlink -f /usr/bin/python3'), listed);
  const allow = [listed, `unit:${UNIT}`, 'cgroup:/lw-listed'].join(',');
  const stage = await setStage(t, { env: { LOOPWARDEN_RECEIVERS_ALLOW: allow } });
  const place: Place = { listed, cgroup: (path) => makeCgroup(t, path).folder };
  return { stage, place };
}

/** The classes of the sockets of a process and its children. */
async function classesOf(
  stage: Awaited<ReturnType<typeof setStage>>,
  { pid }: PlainReceiver,
): Promise<string[]> {
  const below = await host(`cat /proc/${pid}/task/${pid}/children`);
  const pids = [pid, ...below.split(' ').filter(Boolean).map(Number)];
  const receivers: { pid: number; class: string }[] = await stage.agent.ask('receivers');
  return receivers.filter((each) => pids.includes(each.pid)).map((each) => each.class);
}

test('none of these gets onto the list, and who is really meant hears', async (t) => {
  const { stage, place } = await stageWith(t);
  stage.device(NUMBER);
  const real: PlainReceiver[] = [];
  for (const start of Object.values(REAL)) real.push(await startReceiverBy(t, start(place)));
  const attackers: { name: string; receiver: PlainReceiver }[] = [];
  for (const { name, start } of TRICKS)
    attackers.push({ name, receiver: await startReceiverBy(t, start(place)) });

  for (const each of real) assert.deepEqual(await classesOf(stage, each), ['allowed']);
  for (const { name, receiver } of attackers)
    assert.deepEqual(await classesOf(stage, receiver), ['filtered'], name);

  const calls = [LOOP_CTL_ADD, LOOP_CTL_REMOVE].map((request) => [request, NUMBER] as const);
  await container(ioctls('/dev/loop-control', calls));
  for (const each of real) {
    await each.catchUp();
    assert.equal(each.loopEvents(), 4);
  }
  for (const { name, receiver } of attackers) {
    await receiver.catchUp();
    assert.equal(receiver.loopEvents(), 0, name);
  }
  assert.deepEqual(await stage.hostHears(), []);
});
