/** The words that the agent tells every program: one map entry, written whole. */
import { readFileSync } from 'node:fs';
import { FILTER_MODE, writeFilterSettings } from './abi.js';
import type { BpfMap } from './native.js';

export type FilterModeName = 'off' | 'observe' | 'hide';

const MODES: Record<FilterModeName, number> = {
  off: FILTER_MODE.OFF,
  observe: FILTER_MODE.OBSERVE,
  hide: FILTER_MODE.HIDE,
};

const KEY = Buffer.alloc(4);

export interface FilterSettings {
  mode: FilterModeName;
  /** Of the host's udevd; 0: none is known. */
  udevTgid: number;
}

/** Takes effect with the next uevent. */
export function writeSettings(map: BpfMap, settings: FilterSettings): void {
  const { mode, udevTgid } = settings;
  map.put(KEY, writeFilterSettings({ mode: MODES[mode], partShift: loopPartShift(), udevTgid }));
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
