/** ublk: a disk of another driver, which a user makes without any privilege, and serves in a process of its own (ublk.py). */
import type { TestContext } from 'node:test';
import { type Attacker, attack, startAttacker } from './attacker.js';
import { defer } from './defer.js';
import { skipWithout } from './kernel-module.js';
import { host } from './shell.js';

const CONTROL = '/dev/ublk-control';
const ENTER = { userns: 'enter_new_userns()', host: 'ublk.drop_capabilities()' };
const SERVE = `
disk = ublk.Disk()
say({"number": disk.number, "userns": userns()})
wait_for_test()
disk.stop()
say("stopped")
wait_for_test()`;

export const skipWithoutUblk = (): Promise<string | false> =>
  skipWithout({ name: 'ublk', module: 'ublk_drv', path: CONTROL, since: '6.12' });

export interface UblkMaker {
  /** Its next word has it stop the disk, which it says. */
  attacker: Attacker;
  name: string;
  userns: number;
}

/** A process that makes a disk, in a user namespace of its own or in the host's. After the test neither is there. */
export async function startUblk(t: TestContext, where: keyof typeof ENTER): Promise<UblkMaker> {
  let number: number | undefined;
  defer(t, async () => {
    if (number !== undefined) await host(attack('import ublk\nublk.delete(int(sys.argv[1]))', number));
  });
  const attacker = startAttacker(t, `import ublk\n${ENTER[where]}${SERVE}`);
  const said = await attacker.says();
  number = said.number;
  return { attacker, name: `ublkb${said.number}`, userns: said.userns };
}
