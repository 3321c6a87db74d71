/** The agent as its unit runs it: what loads, with the capabilities that the unit gives it, and the agent in the unit's sandbox. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { PACKAGE_ROOT } from '../../src/kernel/paths.js';
import { type AgentEnvironment, type AgentProcess, startAgent } from './agent-process.js';
import { command, type Outcome } from './shell.js';

export const AGENT_UNIT = join(PACKAGE_ROOT, 'packaging/systemd/loopwarden.service');
const OLD_KERNEL = join(PACKAGE_ROOT, 'packaging/systemd/old-kernel.conf');
const MAIN = join(PACKAGE_ROOT, 'dist/main.js');
const SANDBOX = join(PACKAGE_ROOT, 'test/support/unit-sandbox.py');
const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
/** Where bpf(2) is CAP_BPF's as a whole: what packaging/systemd/old-kernel.conf is for. */
export const IS_OLD_KERNEL = major < 5 || (major === 5 && minor < 19);
const INSTALLED = '/usr/bin/loopwarden';

/** The value of a setting that is there once. */
export function settingOf(key: string, unit = AGENT_UNIT): string {
  return new RegExp(`^${key}=(.*)$`, 'm').exec(readFileSync(unit, 'utf8'))?.[1] ?? '';
}

/** Of both processes, without CAP_, in alphabetical order. */
export function unitCapabilities(): string[] {
  const loaders = /--bounding-set -all,(\S+)/.exec(settingOf('ExecStartPre'))?.[1] ?? '';
  const agents = settingOf('CapabilityBoundingSet').replaceAll('CAP_', '').split(' ');
  return [...loaders.toUpperCase().replaceAll('+', '').split(','), ...agents].sort();
}

/** As ExecStartPre= does, with the agent of this clone. */
export async function loadAsUnit({ env }: AgentEnvironment, main = MAIN): Promise<Outcome> {
  const words = settingOf('ExecStartPre').replace(/^\+/, '').split(' ');
  assert.equal(words.at(-2), INSTALLED);
  const [file = '', ...before] = words.slice(0, -2);
  return command(file, [...before, process.execPath, main, ...words.slice(-1)], env);
}

/** As ExecStart= does. */
export async function startAsUnit(t: TestContext, environment: AgentEnvironment): Promise<AgentProcess> {
  const { env, auditPath } = environment;
  const options = settingOf('ExecStart').split(' ').slice(2);
  const writable = [env.LOOPWARDEN_PINS_PATH ?? '', dirname(auditPath)];
  const files = [AGENT_UNIT, ...(IS_OLD_KERNEL ? [OLD_KERNEL] : [])].join();
  return startAgent(t, environment, MAIN, ['python3', SANDBOX, files, ...writable, '--'], options);
}
