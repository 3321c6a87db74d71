/** A real rsyslogd: on a socket, a UDP port and a TCP port of its own, with what it understood of each message in a file. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { defer } from './defer.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

/** Unpacked by scripts/setup.sh. */
const ROOT = join(PACKAGE_ROOT, '.cache/tools/rsyslog');
const LIBRARIES = join(ROOT, 'usr/lib/x86_64-linux-gnu');
const FIELDS = ['pri', 'time', 'host', 'app', 'pid', 'id', 'data', 'message'] as const;
export type SyslogEntry = Record<(typeof FIELDS)[number], string>;

export interface Rsyslogd {
  socket: string;
  /** Of UDP and TCP. */
  port: number;
  messages(): SyslogEntry[];
  stop(): Promise<void>;
}

/** `port`: one that was used before, else any. */
export async function startRsyslogd(t: TestContext, port?: number): Promise<Rsyslogd> {
  const folder = tempFolder(t);
  const taken = port ?? (await freePort());
  const output = join(folder, 'messages');
  const template = [
    'pri',
    'timereported:::date-rfc3339',
    'hostname',
    'app-name',
    'procid',
    'msgid',
    'structured-data',
    'msg',
  ];
  writeFileSync(output, '');
  writeFileSync(
    join(folder, 'conf'),
    `global(workDirectory="${folder}" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="off")
module(load="imudp") module(load="imtcp") module(load="imuxsock" SysSock.Use="off")
template(name="fields" type="string" string="${template.map((name) => `%${name}%`).join('\\t')}\\n")
input(type="imudp" address="127.0.0.1" port="${taken}")
input(type="imtcp" address="127.0.0.1" port="${taken}")
input(type="imuxsock" socket="${folder}/log")
action(type="omfile" file="${output}" template="fields")
`,
  );
  const child = spawn(
    join(ROOT, 'usr/sbin/rsyslogd'),
    ['-n', '-f', join(folder, 'conf'), '-i', join(folder, 'pid'), '-M', join(LIBRARIES, 'rsyslog')],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LD_LIBRARY_PATH: LIBRARIES } },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said += piece;
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  defer(t, stop);
  await eventually(`rsyslogd is there: ${said}`, () => existsSync(join(folder, 'pid')));
  return {
    socket: join(folder, 'log'),
    port: taken,
    stop,
    messages: () =>
      readFileSync(output, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => {
          const values = line.split('\t');
          return Object.fromEntries(FIELDS.map((name, at) => [name, values[at] ?? ''])) as SyslogEntry;
        }),
  };
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address() as AddressInfo;
  socket.close();
  return port;
}
