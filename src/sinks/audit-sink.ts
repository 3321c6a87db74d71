/** The audit log as the config wants it: with its key, its chain from where it ended, rotation, and the state beside the key. */
import type { Config } from '../config/schema.js';
import { createAuditChain } from './audit-chain.js';
import { openAuditKey } from './audit-key.js';
import { type AuditLog, type AuditLogOptions, openAuditLog } from './audit-log.js';
import { noCounts, OUTPUT_NAMES, type OutputCounts, type OutputName } from './audit-output.js';
import { openOutputs } from './audit-outputs.js';
import { readChainEnd, readRange } from './chain-end.js';
import { chainStatePath, readChainState, writeChainState } from './chain-state.js';
import type { CheckpointTime } from './checkpoint.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface AuditSinkOptions {
  readClocks: () => CheckpointTime;
  onState: NonNullable<AuditLogOptions['onState']>;
  onTrouble: NonNullable<AuditLogOptions['onTrouble']>;
  /** Most lines to a checkpoint. */
  batchLines?: number;
  /** In the place of fdatasync. */
  sync?: AuditLogOptions['sync'];
}

export interface AuditSink extends AuditLog {
  /** Of every output, be it configured or not. */
  outputCounts(): Record<OutputName, OutputCounts>;
}

/** Nothing of the log is touched or read before its first line. @throws ERR_AUDIT_LOG, ERR_AUDIT_KEY */
export async function openAuditSink(audit: Config['audit'], options: AuditSinkOptions): Promise<AuditSink> {
  const { readClocks, onState, onTrouble } = options;
  const { path, key_path: keyPath } = audit;
  const key = audit.chain && path !== '-' ? await openAuditKey(keyPath) : undefined;
  const state = createStateWriter(path, chainStatePath(keyPath), onTrouble);

  const log = await openAuditLog({
    path,
    onState,
    onTrouble,
    checkpointMs: audit.checkpoint_ms,
    rotation: {
      bytes: audit.rotate_bytes,
      ageMs: audit.rotate_hours * HOUR_MS,
      keepFiles: audit.keep_files,
      keepMs: audit.keep_days * DAY_MS,
    },
    onCheckpoint: state.write,
    ...(options.sync && { sync: options.sync }),
    ...(key && {
      openChain() {
        const end = readChainEnd(path, key, readChainState(chainStatePath(keyPath)));
        const chain = createAuditChain({ key, end, readClocks, batchLines: options.batchLines });
        for (const range of end.tail) readRange(range, chain.add);
        return chain;
      },
    }),
  });
  const outputs = await openOutputs(audit, onTrouble);
  return {
    ...log,
    write(line, durable) {
      log.write(line, durable);
      for (const output of outputs.values()) output.take(line);
    },
    outputCounts: () =>
      Object.fromEntries(
        OUTPUT_NAMES.map((name) => [name, outputs.get(name)?.counts() ?? noCounts()]),
      ) as Record<OutputName, OutputCounts>,
    async close() {
      await log.close();
      await state.settle();
      await Promise.all([...outputs.values()].map((output) => output.close()));
    },
  };
}

/** One write at a time; of those that come meanwhile only the last matters. */
function createStateWriter(path: string, statePath: string, onTrouble: AuditSinkOptions['onTrouble']) {
  let next: Buffer | undefined;
  let running: Promise<void> | undefined;
  let failing = false;

  async function run(): Promise<void> {
    for (let line = next; line !== undefined; line = next) {
      next = undefined;
      try {
        await writeChainState(statePath, { path, line });
        failing = false;
      } catch (error) {
        if (!failing) onTrouble('the last checkpoint cannot be kept beside the key', error);
        failing = true;
      }
    }
    running = undefined;
  }

  return {
    write(line: Buffer) {
      next = line;
      running ??= run();
    },
    async settle() {
      await running;
    },
  };
}
