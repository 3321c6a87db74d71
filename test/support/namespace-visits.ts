/** One user namespace after the other, each of which uses a loop device and ends: as many as a test asks for. */
import type { TestContext } from 'node:test';
import { startAttacker } from './attacker.js';

/**
 * On one processor, so that the kernel has the memory of the last one for the next, and its number. Each attaches the file and takes it
 * off again, which is recorded whatever the budget.
 */
const SCRIPT = `
number, image = int(sys.argv[1]), sys.argv[2]
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.close(add_device(number))

def visit():
    here, there = os.pipe()
    if os.fork() == 0:
        enter_new_userns()
        device = os.open(f"/dev/loop{number}", os.O_RDWR)
        result = configure(device, open_file(image))
        ioctl(device, LOOP_CLR_FD)
        os.write(there, f"{userns() if result == 0 else 0}".encode())
        os._exit(0)
    os.wait()
    inum = int(os.read(here, 32))
    os.close(here)
    os.close(there)
    return inum

say("ready")
while True:
    say([visit() for _ in range(int(sys.stdin.readline()))])
`;

export interface Visits {
  /** So many more namespaces; returns their numbers, 0 for one that was refused. */
  make(count: number): Promise<number[]>;
}

/** With the loop device of that number, which is made by the host. */
export async function startVisits(t: TestContext, number: number, image: string): Promise<Visits> {
  const attacker = startAttacker(t, SCRIPT, number, image);
  await attacker.says();
  return {
    async make(count) {
      attacker.go(count);
      return attacker.says();
    },
  };
}
