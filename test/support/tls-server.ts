/** openssl's own TLS server, which writes to a file what its clients send. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Pair } from './certificates.js';
import { defer } from './defer.js';
import { tempFolder } from './temp-folder.js';
import { eventually } from './wait.js';

export interface TlsServer {
  port: number;
  /** The messages so far, by octet counting: `LENGTH MESSAGE`, nothing between. Throws for anything else. */
  messages(): string[];
  stop(): Promise<void>;
}

/** `clients`: only those with a certificate of this authority. `port`: one that was used before, else any. */
export async function startTlsServer(
  t: TestContext,
  own: Pair,
  { clients, port, options = [] }: { clients?: Pair; port?: number; options?: readonly string[] } = {},
): Promise<TlsServer> {
  const taken = port ?? (await freePort());
  const output = join(tempFolder(t), 'received');
  const descriptor = openSync(output, 'w');
  const words = [
    's_server',
    '-quiet',
    '-accept',
    `127.0.0.1:${taken}`,
    '-cert',
    own.certFile,
    '-key',
    own.keyFile,
  ];
  const asks = clients ? ['-Verify', '1', '-verify_return_error', '-CAfile', clients.certFile] : [];
  const child = spawn('openssl', [...words, ...asks, ...options], { stdio: ['pipe', descriptor, 'pipe'] });
  closeSync(descriptor);
  const exited = once(child, 'exit');
  child.stderr?.resume();
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  defer(t, stop);
  await eventually('the server listens', () => isListening(taken));
  return { port: taken, stop, messages: () => split(readFileSync(output)) };
}

/** By the kernel's own table: a connection would be one of the server's clients. */
function isListening(port: number): boolean {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .some((line) => line.includes(` ${local} 00000000:0000 0A `));
}

function split(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const digits = bytes.toString('latin1', at, blank);
    if (!/^[1-9]\d*$/.test(digits)) throw new Error(`no length: ${bytes.toString('latin1', at, at + 40)}`);
    const end = blank + 1 + Number(digits);
    // The rest is on its way.
    if (end > bytes.length) break;
    messages.push(bytes.toString('utf8', blank + 1, end));
    at = end;
  }
  return messages;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
