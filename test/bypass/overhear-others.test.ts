/** The attacker shares the host's network namespace, where every uevent is sent, and listens for other containers' devices. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Attacker, type Said, startAttacker } from '../support/attacker.js';
import { ioctls, LOOP_CTL_ADD, LOOP_CTL_REMOVE } from '../support/ioctl.js';
import { container } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { seesEverySocket } from '../support/storm-run.js';

const NUMBER = 35_001;

/** `before` and `after`: what it does to its socket before it listens, and when it has been filtered. */
const listen = ({ before = '', after = '' }): string => `
import socket
enter_new_userns()
ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0xFFFFFFFF))
s = socket.socket(16, socket.SOCK_RAW, 15)
def take_filter_of_its_own(): s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(ALL)))
def take_filter_off(): s.setsockopt(socket.SOL_SOCKET, 27, 0)
${before}
s.bind((0, 1))
say("listening")
wait_for_test()
try: ${after || 'pass'}
except OSError as error: pass  # There is none to take off.
say("ready")
while True: say(s.recv(8192).split(bytes(1))[0].decode())
`;

/** A socket that no table of descriptors ever has (since Linux 6.11). */
const BY_IO_URING = `
from io_uring import *
enter_new_userns()
ring = Ring()
ring.register(-1)
made = ring.request(IORING_OP_SOCKET, 16, length=15, offset=3, flags=0, file_index=1)
address = ctypes.create_string_buffer(struct.pack("HHII", 16, 0, 0, 1))
bound = ring.request(IORING_OP_BIND, 0, ctypes.addressof(address), 0, 12, flags=IOSQE_FIXED_FILE)
say("listening")
wait_for_test()
say("ready" if made == bound == 0 else "refused")
text = ctypes.create_string_buffer(8192)
while made == bound == 0:
    ring.request(IORING_OP_RECV, 0, ctypes.addressof(text), 8192, flags=IOSQE_FIXED_FILE)
    say(text.raw.split(bytes(1))[0].decode())
wait_for_test()
`;

/** What it hears of another container's device, until an event of the host's that comes after. */
async function overheard(attacker: Attacker): Promise<Said[]> {
  const calls = [LOOP_CTL_ADD, LOOP_CTL_REMOVE].map((request) => [request, NUMBER] as const);
  await container(ioctls('/dev/loop-control', calls));
  writeFileSync('/sys/class/mem/null/uevent', 'change');
  const heard: Said[] = [];
  for (let line = await attacker.says(); !line.endsWith('/mem/null'); line = await attacker.says())
    if (line.includes(String(NUMBER))) heard.push(line);
  return heard;
}

/** `elsewhere`: what is left to it on a host that allows no trampolines, where the filter sits on the socket itself. */
const TRICKS = [
  { name: 'a plain socket', script: listen({}), elsewhere: 'nothing' },
  {
    name: 'a filter of its own',
    script: listen({ before: 'take_filter_of_its_own()' }),
    elsewhere: 'everything, reported as foreign_filter',
  },
  {
    name: 'a filter of its own in place of the agent’s',
    script: listen({ after: 'take_filter_of_its_own()' }),
    elsewhere: 'everything, reported as foreign_filter',
  },
  {
    name: 'the agent’s filter taken off',
    script: listen({ after: 'take_filter_off()' }),
    elsewhere: 'everything, until the next search for sockets',
  },
  { name: 'a socket of io_uring', script: BY_IO_URING, elsewhere: 'everything' },
];

for (const { name, script, elsewhere } of TRICKS)
  test(`with ${name} a stranger hears nothing, or, without trampolines, ${elsewhere}`, async (t) => {
    const stage = await setStage(t);
    const attacker = startAttacker(t, script);
    assert.equal(await attacker.says(), 'listening');
    const classOf = async (): Promise<string | undefined> => {
      const receivers: { pid: number; class: string }[] = await stage.agent.ask('receivers');
      return receivers.find(({ pid }) => pid === attacker.pid)?.class;
    };
    await classOf();
    attacker.go();
    const answer = await attacker.says();
    // The kernel has no such sockets: then there is nothing to hear.
    if (answer === 'refused') return;
    const heard = await overheard(attacker);
    if (elsewhere === 'nothing' || (await seesEverySocket(stage.agent))) return assert.deepEqual(heard, []);
    if (elsewhere.includes('next search')) {
      assert.equal(await classOf(), 'filtered');
      return assert.deepEqual(await overheard(attacker), []);
    }
    assert.ok(heard.length >= 4, 'the limit that docs/threat-model.md states');
    if (elsewhere.endsWith('foreign_filter')) assert.equal(await classOf(), 'foreign_filter');
  });
