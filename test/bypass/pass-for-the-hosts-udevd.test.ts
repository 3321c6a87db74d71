/** The attacker calls its process systemd-udevd and listens: the agent would take the echoes of the real one for the host's own events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { container, host } from '../support/shell.js';
import { setStage } from '../support/stage.js';

/** `before`: where it is when it opens its socket. */
const impostor = (before: string): string => `
import socket
${before}
libc.prctl(15, b"systemd-udevd")
s = socket.socket(16, socket.SOCK_RAW, 15)
s.bind((0, 1))
say(os.getpid())
wait_for_test()
`;

const ROUNDS = 20;

for (const [who, before] of [
  ['a user namespace', 'enter_new_userns()'],
  ['a rootful container, in a network namespace of its own', 'system_call(SYS_UNSHARE, 0x40000000)'],
] as const)
  test(`an impostor in ${who} changes nothing: what the host’s udevd echoes of a container stays hidden`, async (t) => {
    // Before the real one starts: its number is lower, where the search begins.
    const attacker = startAttacker(t, impostor(before));
    await attacker.says();
    const stage = await setStage(t, { udevd: true });
    // udevd has seen the device and watches it: each close of a writer makes it send an event.
    const device = await host(`losetup -f --show ${stage.image}; udevadm settle`);
    await host(`losetup -d ${device}; udevadm settle`);
    await stage.agent.ask('receivers');
    const heard = (await stage.hostHears()).length;
    const cycle = `losetup ${device} ${stage.image}; dd if=/dev/zero of=${device} count=1 status=none; losetup -d ${device}`;
    await container(`for i in $(seq ${ROUNDS}); do ${cycle}; done`);
    await host('udevadm settle');
    assert.deepEqual((await stage.hostHears()).slice(heard), []);
    await stage.agent.settle();
    const sent = stage.agent
      .audit()
      .filter(({ kind, device: of }) => kind === 'uevent' && `/dev/${of.name}` === device);
    const rules = sent.map(({ rule, caller }) => `${rule} ${caller.comm}`);
    t.diagnostic(`events of it: ${[...new Set(rules)].join(', ')}`);
  });
