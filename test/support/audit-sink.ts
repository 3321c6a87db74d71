/** An audit log with checkpoints in a folder of the test's own, and its verification. */
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { openAuditKey, publicKeyPath, readPublicKeys } from '../../src/sinks/audit-key.js';
import { type AuditSink, type AuditSinkOptions, openAuditSink } from '../../src/sinks/audit-sink.js';
import { chainStatePath, readChainState } from '../../src/sinks/chain-state.js';
import { searchOf, verifyLog } from '../../src/sinks/chain-verification.js';
import { listLogParts } from '../../src/sinks/log-parts.js';
import type { VerificationReport } from '../../src/sinks/verification-report.js';

export type AuditConfig = Config['audit'];

export function auditConfig(folder: string, more: Partial<AuditConfig> = {}): AuditConfig {
  const { audit } = loadConfig({ defaultPath: '/nonexistent' }).config;
  return {
    ...audit,
    path: join(folder, 'audit.ndjson'),
    key_path: join(folder, 'keys', 'audit.key'),
    checkpoint_ms: 3_600_000,
    rotate_hours: 0,
    ...more,
  };
}

export interface TestClock {
  bootNs: bigint;
  wallNs: bigint;
}

/** Trouble is an error, unless the test wants to hear of it. */
export function openSink(
  config: AuditConfig,
  { clock = CLOCK, ...more }: { clock?: TestClock } & Partial<AuditSinkOptions> = {},
): Promise<AuditSink> {
  return openAuditSink(config, {
    readClocks: () => clock,
    onState: () => {},
    onTrouble(what, error) {
      throw new Error(what, { cause: error });
    },
    ...more,
  });
}

const CLOCK: TestClock = { bootNs: 5_000_000_000n, wallNs: 1_700_000_000_000_000_000n };

/** As audit verify does it. `withState` false: as somebody does who has only the log and the public key. */
export async function verify(
  { path, key_path: keyPath }: AuditConfig,
  { withState = true } = {},
): Promise<VerificationReport> {
  await openAuditKey(keyPath);
  const publicKeys = readPublicKeys(publicKeyPath(keyPath));
  const state = withState ? readChainState(chainStatePath(keyPath)) : undefined;
  return verifyLog({ parts: listLogParts(path, searchOf(publicKeys)), publicKeys, state });
}

/** One line as the trail writes it. */
export const lineOf = (seq: number, text = ''): string =>
  `{"seq":${seq},"time":"x","boot_ns":${seq},"kind":"ioctl","command":"LOOP_CLR_FD","text":"${text}","caller":{"pid":1,"tid":1}}`;

/** For a log that is left as if its agent was killed: what it does later must not be seen. */
export const AS_IF_KILLED: Partial<AuditSinkOptions> = {
  onTrouble: () => {},
  sync: () => Promise.reject(new Error('killed')),
};
