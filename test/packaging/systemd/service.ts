/** Units, as systemctl tells of them. */
import { readFileSync } from 'node:fs';
import { command, host } from '../../support/shell.js';
import { eventually } from '../../support/wait.js';

export const AGENT = 'loopwarden.service';
export const LOOPFS = 'loopwarden-loopfs.service';
export const SOCKET = 'loopwarden.socket';
export const AUDIT_LOG = '/var/log/loopwarden/audit.ndjson';
/** Where the socket listens by default. */
export const PAGES = 'http://127.0.0.1:9847';

/** A unit that is not there has `inactive` and empty texts. */
export function property(unit: string, name: string): Promise<string> {
  return host(`systemctl show --value --property ${name} ${unit}`);
}

/** `enabled`, `disabled`, or what else systemctl says; it fails for what is not enabled. */
export async function enablement(unit: string): Promise<string> {
  return (await command('systemctl', ['is-enabled', unit])).stdout.trim();
}

export async function mainPid(unit: string): Promise<number> {
  return Number(await property(unit, 'MainPID'));
}

/** Resolves when it runs in another process than `pid`, and is ready: systemd has started it anew, by itself or for who asked the socket. */
export async function untilRestarted(unit: string, pid: number, deadlineMs?: number): Promise<void> {
  const isReady = async (): Promise<boolean> =>
    ![0, pid].includes(await mainPid(unit)) && (await property(unit, 'ActiveState')) === 'active';
  await eventually(`${unit} is started anew, and ready`, isReady, deadlineMs);
}

/** What a unit's processes have logged as JSON since `since` (of journalctl). */
export async function loggedBy(unit: string, since = '-1d'): Promise<{ level: number; msg: string }[]> {
  const text = await host(`journalctl --quiet --boot --unit ${unit} --since ${since} --output cat`);
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}

/** What audit lines there are of one command. */
export function auditLines(
  name: string,
): { owner: { after: number }; caller: { userns: { level: number } } }[] {
  const lines = readFileSync(AUDIT_LOG, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).filter((line) => line.command === name);
}
