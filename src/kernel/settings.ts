/** The words that the agent tells every program: one map entry, written whole. */
import { readFileSync } from 'node:fs';
import {
  FILTER_MODE,
  type FilterSettings,
  HIDE_SCOPE,
  readFilterSettings,
  writeFilterSettings,
} from './abi.js';
import type { BpfMap } from './native.js';

export type FilterModeName = 'off' | 'observe' | 'hide';

const MODES: Record<FilterModeName, number> = {
  off: FILTER_MODE.OFF,
  observe: FILTER_MODE.OBSERVE,
  hide: FILTER_MODE.HIDE,
};

export type HideScopeName = 'userns' | 'container';

const SCOPES: Record<HideScopeName, number> = {
  userns: HIDE_SCOPE.USERNS,
  container: HIDE_SCOPE.CONTAINER,
};

const KEY = Buffer.alloc(4);

export interface SettingsChange {
  mode?: FilterModeName;
  scope?: HideScopeName;
  /** Of the host's udevd; 0: none is known. */
  udevTgid?: number;
  /** The process whose calls are canaries; 0: none. */
  canaryTgid?: number;
}

/** What is not named stays as it is, also from an earlier agent. Takes effect with the next call and uevent. */
export function changeSettings(map: BpfMap, { mode, scope, ...words }: SettingsChange): void {
  const now = readSettings(map);
  const changed = {
    ...now,
    ...words,
    ...(mode && { mode: MODES[mode] }),
    ...(scope && { scope: SCOPES[scope] }),
    partShift: loopPartShift(),
  };
  map.put(KEY, writeFilterSettings(changed));
}

/** As an earlier agent of this layout left it; `userns` without one. */
export function readScope(map: BpfMap): HideScopeName {
  return readSettings(map).scope === HIDE_SCOPE.CONTAINER ? 'container' : 'userns';
}

function readSettings(map: BpfMap): FilterSettings {
  const bytes = map.get(KEY) as Buffer;
  return readFilterSettings(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}

/** How far the loop driver shifts a number to get the first minor: fls(max_part), drivers/block/loop.c, loop_init. */
export function loopPartShift(): number {
  try {
    const maxPart = Number(readFileSync('/sys/module/loop/parameters/max_part', 'utf8'));
    return 32 - Math.clz32(maxPart);
  } catch {
    return 0;
  }
}
