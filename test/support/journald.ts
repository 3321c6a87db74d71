/** A real systemd-journald that nobody else knows of: in a mount namespace with a /run of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { defer } from './defer.js';
import { command } from './shell.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

// The one of a namespace: it leaves the kernel's own messages and its audit to the host's.
const NAMESPACE = 'loopwarden';
const SCRIPT = `
mount --bind "$0" /run
mount -t tmpfs tmpfs /var/log
mkdir -p /run/systemd/journald@${NAMESPACE}.conf.d /run/log/journal
printf '[Journal]\\nStorage=volatile\\nRateLimitIntervalSec=0\\n' >/run/systemd/journald@${NAMESPACE}.conf.d/test.conf
exec /lib/systemd/systemd-journald ${NAMESPACE}`;

export interface Journald {
  /** Of its native protocol, and the one for syslog. */
  socket: string;
  syslogSocket: string;
  signal(name: NodeJS.Signals): void;
  /** Its entries, oldest first; binary fields as text. */
  entries(): Promise<JournalEntry[]>;
}

/** A field that is there more than once is a list. */
export type JournalEntry = Record<string, string | string[]>;

export async function startJournald(t: TestContext): Promise<Journald> {
  // A folder of the host's: an agent without capabilities looks into no other process's root.
  const run = tempFolder(t);
  const child = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-ec', SCRIPT, run], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
  });
  const exited = once(child, 'exit');
  defer(t, async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await exited;
  });
  const folder = `${run}/systemd/journal.${NAMESPACE}`;
  await eventually(`journald listens: ${said}`, () => existsSync(`${folder}/socket`));
  return {
    socket: `${folder}/socket`,
    syslogSocket: `${folder}/dev-log`,
    signal: (name) => void child.kill(name),
    async entries() {
      const files = `${run}/log/journal/*/*.journal`;
      const words = ['--file', files, '-o', 'json', '--all', '--no-pager'];
      const { stdout } = await command('journalctl', words);
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => readEntry(JSON.parse(line)))
        .filter(({ SYSLOG_IDENTIFIER: name }) => name === 'loopwarden');
    },
  };
}

function readEntry(entry: Record<string, string | number[] | (string | number[])[]>): JournalEntry {
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => {
      if (typeof value === 'string') return [name, value];
      return [
        name,
        isBytes(value) ? textOf(value) : value.map((each) => (isBytes(each) ? textOf(each) : each)),
      ];
    }),
  );
}

const isBytes = (value: unknown): value is number[] => Array.isArray(value) && typeof value[0] === 'number';
const textOf = (bytes: number[]): string => Buffer.from(bytes).toString();
