/** The attacker's ioctl is answered by a filter of its own, or by a supervisor, and not by the kernel. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { setStage, told, usernsOf } from '../support/stage.js';

const NUMBER = 35_001;

/** `FILTER(answer)`: for LOOP_SET_FD, everything else is allowed (struct seccomp_data: nr at 0, the request at 24). */
const FILTER = `
def filtered(answer, flags=0):
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 3, 16), (0x20, 0, 0, 24), (0x15, 0, 1, LOOP_SET_FD), (6, 0, 0, answer), (6, 0, 0, 0x7FFF0000))))
    argument = ctypes.create_string_buffer(struct.pack("HL", 6, ctypes.addressof(program)))
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return system_call(317, 1, flags, ctypes.c_void_p(ctypes.addressof(argument)))
`;

const REFUSED = `${FILTER}
enter_new_userns()
device, file = add_device(${NUMBER}), open_file(sys.argv[1])
filtered(0x00050000 | errno.EPERM)  # SECCOMP_RET_ERRNO
say([ioctl(device, LOOP_SET_FD, file), configure(device, file), userns()])
wait_for_test()
`;

/** The supervisor, of the host, does for the caller what it asks, or tells the kernel to go on (USER_NOTIF_FLAG_CONTINUE). */
const SUPERVISED = `${FILTER}
import socket
here, there = socket.socketpair()
device, file = add_device(${NUMBER}), open_file(sys.argv[1])
child = os.fork()
if child == 0:
    here.close()
    enter_new_userns()
    socket.send_fds(there, [b"x"], [filtered(0x7FC00000, 8)])  # SECCOMP_RET_USER_NOTIF, FLAG_NEW_LISTENER
    say([ioctl(device, LOOP_SET_FD, file), userns()])
    there.recv(1)
    os._exit(0)
there.close()
listener = socket.recv_fds(here, 1, 1)[1][0]
call = bytearray(80)
fcntl.ioctl(listener, 0xC0502100, call)  # SECCOMP_IOCTL_NOTIF_RECV
on_its_behalf = sys.argv[2] == "deputy"
if on_its_behalf: fcntl.ioctl(device, LOOP_SET_FD, file)
number = struct.unpack_from("Q", call)[0]
fcntl.ioctl(listener, 0xC0182101, bytearray(struct.pack("QqiI", number, 0, 0, 0 if on_its_behalf else 1)))
wait_for_test()
`;

test('what a filter refuses never reached the device, and what it lets through is logged', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [refused, result, userns] = await startAttacker(t, REFUSED, stage.image).says();
  assert.deepEqual([refused, result], ['EPERM', 0]);
  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [`LOOP_CTL_ADD ok by ${userns}`, `LOOP_CONFIGURE ok by ${userns}`]);
  assert.deepEqual(await stage.hostHears(), []);
});

test('a call that a supervisor has the kernel go on with is its caller’s', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [result, userns] = await startAttacker(t, SUPERVISED, stage.image, 'goes on').says();
  assert.equal(result, 0);
  const [, set] = await stage.ioctls(device);
  assert.equal(told(set), `LOOP_SET_FD ok by ${userns}`);
  assert.equal(set.owner.after, set.caller.userns.id);
  assert.ok(!(await stage.hostHears()).includes(`change loop${NUMBER}`));
});

test('what a supervisor does for its caller is the supervisor’s: nobody else asked the kernel', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(NUMBER);
  const [result] = await startAttacker(t, SUPERVISED, stage.image, 'deputy').says();
  assert.equal(result, 0);
  const [, set] = await stage.ioctls(device);
  assert.equal(told(set), `LOOP_SET_FD ok by ${await usernsOf('self')}`);
  assert.equal(set.owner.after, 3);
  assert.ok((await stage.hostHears()).includes(`change loop${NUMBER}`));
});
