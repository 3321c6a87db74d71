/** `loopwarden losetup IMAGE -- COMMAND…`: in a container, a device for as long as a command runs. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createError } from '../errors.js';
import type { Command, CommandContext } from './command.js';

const PLACE = '{}';
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
/** As a shell's. */
const NOT_FOUND = 127;
const NOT_RUN = 126;
const SIGNAL_BASE = 128;

export const losetup: Command = {
  name: 'losetup',
  argument: 'IMAGE',
  rest: 'COMMAND',
  summary:
    "in a container: run a command (after --) with a loop device for IMAGE, which goes with it; the device's path takes the place of {}, or is the last word, and is in LOOP_DEVICE",
  options: [
    { flags: '--read-only', description: 'a device that is not written to' },
    { flags: '--partscan', description: 'with nodes of its partitions' },
    { flags: '--direct-io', description: 'past the page cache of the image' },
    { flags: '--offset <bytes>', description: 'where in the image it begins' },
    { flags: '--sizelimit <bytes>', description: 'how much of the image it has' },
    { flags: '--sector-size <bytes>', description: 'size of its blocks' },
  ],
  async action({ args: [image = '', ...words], options }: CommandContext): Promise<number> {
    if (words.length === 0)
      throw createError('ERR_USAGE', { reason: 'no command: losetup IMAGE -- COMMAND' });
    const { attachImage } = await import('../loopfs/container-client.js');
    const { device } = attachImage(image, {
      readOnly: options.readOnly === true,
      partscan: options.partscan === true,
      directIo: options.directIo === true,
      offset: bytesOption(options, 'offset'),
      sizeLimit: bytesOption(options, 'sizelimit'),
      blockSize: bytesOption(options, 'sectorSize'),
    });
    // The descriptor stays open until this process ends, however it does.
    return run(withDevice(words, device), { ...process.env, LOOP_DEVICE: device });
  },
};

export function withDevice(words: readonly string[], device: string): string[] {
  const placed = words.map((word) => word.replaceAll(PLACE, device));
  return words.some((word) => word.includes(PLACE)) ? placed : [...placed, device];
}

function run([file = '', ...words]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(file, words, { stdio: 'inherit', env });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`loopwarden: ${file}: ${error.code === 'ENOENT' ? 'not found' : error.message}\n`);
      resolve(error.code === 'ENOENT' ? NOT_FOUND : NOT_RUN);
    });
    child.once('exit', (code, signal) => {
      resolve(signal === null ? (code ?? NOT_RUN) : SIGNAL_BASE + constants.signals[signal]);
    });
  });
}

/** Whole bytes, or with K, M, G, as losetup takes them. @throws ERR_USAGE */
function bytesOption(options: Readonly<Record<string, unknown>>, key: string): number {
  const text = options[key];
  if (text === undefined) return 0;
  const match = /^(\d{1,15})([KMG]?)(?:iB)?$/.exec(String(text));
  const bytes = Number(match?.[1]) * 1024 ** ' KMG'.indexOf(match?.[2] || ' ');
  if (Number.isSafeInteger(bytes)) return bytes;
  throw createError('ERR_USAGE', { reason: `${key} must be a number of bytes, not "${String(text)}"` });
}
