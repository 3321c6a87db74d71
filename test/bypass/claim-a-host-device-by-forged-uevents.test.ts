/** A container has the kernel repeat uevents in its network namespace: they teach the agent nothing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { defer } from '../support/defer.js';
import { ioctls, LOOP_CTL_ADD } from '../support/ioctl.js';
import { asRootOf, startMappedContainer } from '../support/mapped-container.js';
import { startReceiver } from '../support/receiver.js';
import { removeDevice } from '../support/remove-device.js';
import { host } from '../support/shell.js';
import { setStage } from '../support/stage.js';
import { eventually } from '../support/wait.js';

const NUMBER = 36_000;

/** Listens in its own network namespace, and sends with portid 0, as the kernel's own are. */
const SPOOF = `
import socket, struct, sys
path = sys.argv[1]
receiver = socket.socket(16, socket.SOCK_RAW, 15)
receiver.bind((0, 1))
print("listening", flush=True)
sys.stdin.readline()
text = b"".join(part.encode() + bytes(1) for part in
    ["add@" + path, "ACTION=add", "DEVPATH=" + path, "SUBSYSTEM=block", "DEVTYPE=disk"])
sender = socket.socket(16, socket.SOCK_RAW, 15)
sender.sendto(struct.pack("IHHII", 16 + len(text), 0x10, 1, 0, 0) + text, (0, 0))
print(receiver.recv(8192).split(bytes(1))[0].decode())
`;

test('a uevent that a container has repeated does not make a device of the host its own', async (t) => {
  const { agent } = await setStage(t);
  const container = await startMappedContainer(t);
  const receiver = await startReceiver(t);
  await host(ioctls('/dev/loop-control', [[LOOP_CTL_ADD, NUMBER]]));
  defer(t, () => removeDevice(NUMBER).catch(() => {}));
  const before = receiver.loopEvents();
  const path = `/devices/virtual/block/loop${NUMBER}`;
  const child = spawn('nsenter', [...asRootOf(container.pid), 'python3', '-c', SPOOF, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk));
  await eventually('the container listens', () => said.includes('listening'));
  // From here on the filter is on its socket, too.
  await agent.ask('receivers');
  child.stdin.end('\n');
  await ended;
  assert.match(said, new RegExp(`add@${path}`), 'the kernel repeats it');
  assert.equal((await agent.ask(`devices/loop${NUMBER}`)).owner.class, 'initial');
  await host(`echo change >/sys/block/loop${NUMBER}/uevent`);
  await eventually('the host hears of its device', async () => {
    await receiver.catchUp();
    return receiver.loopEvents() > before;
  });
});
