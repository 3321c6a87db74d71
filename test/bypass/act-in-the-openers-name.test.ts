/** The attacker has somebody else open the device, and does the rest through the descriptor that it was sent. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage, told, usernsOf } from '../support/stage.js';

/** Two processes and a socket between them; `enter`: who is in a user namespace, the opener or the user. */
const SCRIPT = `
import socket
number, image, inside = int(sys.argv[1]), sys.argv[2], sys.argv[3]
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
if os.fork() == 0:
    if inside == "opener": enter_new_userns()
    socket.send_fds(there, [b"x"], [add_device(number), open_file(image)])
    os._exit(0)
if inside == "user": enter_new_userns()
device, file = socket.recv_fds(here, 1, 2)[1]
say({"result": configure(device, file), "pid": os.getpid(), "userns": userns()})
wait_for_test()
`;

test('a device that the host opened and a container uses is the container’s', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const { result, pid, userns } = await startAttacker(t, SCRIPT, 35_001, stage.image, 'user').says();
  assert.equal(result, 0);
  const line = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(told(line), `LOOP_CONFIGURE ok by ${userns}`);
  assert.deepEqual([line.caller.pid, line.opener], [pid, { uid: 0, userns: 3 }]);
  assert.equal(line.owner.after, line.caller.userns.id);
  const change = `change loop35001`;
  assert.ok(!(await stage.hostHears()).includes(change), 'what the container did is hidden');
});

test('a device that a container opened and the host uses is the host’s, and the log has the opener', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const { result, userns } = await startAttacker(t, SCRIPT, 35_001, stage.image, 'opener').says();
  assert.equal(result, 0);
  assert.equal(userns, await usernsOf('self'));
  const [add, configure] = await stage.ioctls(device);
  assert.ok(add.caller.userns.level > 0);
  assert.deepEqual([configure.caller.userns.level, configure.owner.after], [0, 3]);
  assert.equal(configure.opener.userns, add.caller.userns.id);
  assert.ok((await stage.hostHears()).includes('change loop35001'), 'the host hears of its device');
});
