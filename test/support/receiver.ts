/** A bare uevent socket, opened by a process of the host or of a container (a user namespace). */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { eventually } from './wait.js';

const MARKER = '/sys/class/mem/null/uevent';

/** `classic`: sets a filter of its own, as libudev does, that lets everything pass. */
const SCRIPT = `
import ctypes, socket, struct, sys
s = socket.socket(16, socket.SOCK_RAW, 15)
s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
if sys.argv[1] == "classic":
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0xffffffff))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", 1, ctypes.addressof(program)))
s.bind((0, 1))
print("ready", flush=True)
while True:
    print(s.recv(8192).split(b"\\0")[0].decode(), flush=True)
`;

export interface PlainReceiver {
  pid: number;
  /** How many it has heard about loop devices. */
  loopEvents(): number;
  /** Those, as the kernel begins them: `change@/devices/virtual/block/loop7`. */
  heard(): string[];
  catchUp(): Promise<void>;
}

/** `usernsOf`: a process whose user namespace opens the socket; it stays in the host's network namespace. */
export async function startReceiver(
  t: TestContext,
  usernsOf?: number,
  kind: 'plain' | 'classic' = 'plain',
): Promise<PlainReceiver> {
  // SO_RCVBUFFORCE is for the host's root only.
  const script = usernsOf === undefined ? SCRIPT : SCRIPT.replace('SOL_SOCKET, 33', 'SOL_SOCKET, 8');
  const python = ['python3', '-c', script, kind];
  const words =
    usernsOf === undefined
      ? python
      : ['nsenter', '-t', String(usernsOf), '-U', '--preserve-credentials', ...python];
  return listen(t, words);
}

/** The same by another executable or from elsewhere: `words` come before Python's own, and end with a Python. */
export function startReceiverBy(t: TestContext, words: readonly string[]): Promise<PlainReceiver> {
  return listen(t, [...words, '-c', SCRIPT.replace('SOL_SOCKET, 33', 'SOL_SOCKET, 8'), 'plain']);
}

async function listen(t: TestContext, words: readonly string[]): Promise<PlainReceiver> {
  const child = spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  defer(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await eventually('the receiver listens', () => text.includes('ready\n'));
  const heard = (): string[] => text.split('\n').filter((line) => /\/block\/loop|\/bdi\/7:/.test(line));
  const markers = (): number =>
    text.split('\n').filter((line) => line.endsWith('/devices/virtual/mem/null')).length;
  return {
    pid: child.pid ?? 0,
    loopEvents: () => heard().length,
    heard,
    async catchUp() {
      const before = markers();
      writeFileSync(MARKER, 'change');
      await eventually('the marker arrives at the receiver', () => markers() > before);
    },
  };
}
