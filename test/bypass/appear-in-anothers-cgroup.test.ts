/** The attacker has its child begin in the cgroup of another container (clone3), or moves there in the middle of a call. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startAttacker } from '../support/attacker.js';
import { makeCgroup, type TestCgroup } from '../support/cgroup.js';
import { setStage, told } from '../support/stage.js';

const newId = (): string => randomBytes(32).toString('hex');
const scope = (id: string): string => `/bypass.slice/docker-${id}.scope`;

/** Its parent stays where it is. The descriptor of the cgroup is what a careless runtime leaves open. */
const CLONED = `
number, image, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
cgroup = os.open(folder, os.O_PATH | os.O_DIRECTORY)
enter_new_userns()
child = clone3(cgroup=cgroup)
if child == 0:
    say({"result": configure(add_device(number), open_file(image)), "userns": userns()})
    os._exit(0)
os.waitpid(child, 0)
`;

const MOVED = `
argument = HeldArgument()
number, image = int(sys.argv[1]), sys.argv[2]
enter_new_userns()
device, file = add_device(number), open_file(image)
say(userns())
say(argument.ioctl(device, LOOP_CONFIGURE, loop_config(file)))
wait_for_test()
`;

test('a child that begins in another container’s cgroup is logged in it, and owns as its user namespace', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const victim = makeCgroup(t, scope(newId()));
  const { result, userns } = await startAttacker(t, CLONED, 35_001, stage.image, victim.folder).says();
  assert.equal(result, 0);
  const lines = await stage.ioctls(device);
  assert.deepEqual(lines.map(told), [`LOOP_CTL_ADD ok by ${userns}`, `LOOP_CONFIGURE ok by ${userns}`]);
  for (const { caller, owner } of lines) {
    assert.equal(caller.cgroup_id, Number(victim.id), 'where it really was');
    assert.equal(owner.after, caller.userns.id, 'whose it is, no cgroup says');
  }
  assert.deepEqual(await stage.hostHears(), []);
});

test('a caller that is moved in the middle of its call is logged where it was when the call ended', async (t) => {
  const stage = await setStage(t);
  const device = stage.device(35_001);
  const [from, to] = [makeCgroup(t, scope(newId())), makeCgroup(t, scope(newId()))];
  const attacker = startAttacker(t, MOVED, 35_001, stage.image);
  const move = ({ folder }: TestCgroup) => writeFileSync(join(folder, 'cgroup.procs'), String(attacker.pid));
  const userns = await attacker.says();
  move(from);
  assert.equal(await attacker.says(), 'held');
  move(to);
  attacker.go();
  assert.equal(await attacker.says(), 0);
  const configure = (await stage.ioctls(device)).find(({ command }) => command === 'LOOP_CONFIGURE');
  assert.equal(told(configure), `LOOP_CONFIGURE ok by ${userns}`);
  assert.equal(configure.caller.cgroup_id, Number(to.id));
  assert.equal(configure.owner.after, configure.caller.userns.id);
  assert.deepEqual(await stage.hostHears(), []);
});
