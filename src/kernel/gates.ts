/**
 * The gates (bpf/gates.bpf.c): what is attached to the kernel, and pinned. A set of programs is put beside the one that
 * acts, and made to act by one store; the gates and the set that acts go on without the agent.
 */
import { existsSync, mkdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createError } from '../errors.js';
import type { BpfLink, BpfMap, BpfObject, BpfProgram, NativeAddon, ProgramStats } from './native.js';
import { GATES_OBJECT } from './paths.js';

const KEY = Buffer.alloc(4);
const NO_SET = 2;
/**
 * Folders; in the order in which a gate is taken away: a gate without its program is no whole one, whoever was killed meanwhile; then the
 * link, and what is called after what calls. A program is pinned for its counts, too: only with CAP_SYS_ADMIN can it be asked for by its link.
 */
const PARTS = ['programs', 'links', 'slots'] as const;
type Part = (typeof PARTS)[number];

interface Gate {
  slots: BpfMap;
  program: BpfProgram;
  /** Null: not attached, or to sockets only. */
  link: BpfLink | null;
  pinned: boolean;
}

export interface Gates {
  /** Whether an earlier agent left it attached. */
  isPinned(name: string): boolean;
  /** Whether a set of programs acts, an earlier agent's or this one's. */
  areActing(): boolean;
  /** Loads what is missing of these, without attaching. Throws what the kernel said, and then none of them is there. */
  load(names: readonly string[]): void;
  attach(name: string): void;
  /** Takes a gate off the kernel, and its pins away. */
  remove(name: string): void;
  /** The program of a gate for sockets. */
  program(name: string): BpfProgram;
  /** The id of the program that acts behind a gate; 0 if there is none. */
  actingProgram(name: string): number;
  /** Puts a program into the set that does not act yet. */
  fill(name: string, program: BpfProgram): void;
  /** Puts a program into the set that acts. */
  replace(name: string, program: BpfProgram): void;
  /** One store: from now on the filled set acts. Before it every gate is filled, or passes. */
  switchSets(): void;
  /** Empties the set that no longer acts. */
  forgetOldSet(): void;
  pin(): void;
  /** Removes every gate that is not named. */
  keepOnly(names: ReadonlySet<string>): void;
  /** Of each: what the programs behind it take counts with it. */
  stats(): Map<string, ProgramStats>;
  /** Ids of the programs that are attached to the kernel. */
  linkedPrograms(): number[];
  close(): void;
}

/** `folder` may not exist yet. `names`: all gates there can be. */
export function openGates(native: NativeAddon, folder: string, names: readonly string[]): Gates {
  const gates = new Map<string, Gate>();
  const objects: BpfObject[] = [];
  const at = (name: string, part: Part): string => join(folder, part, name);
  const actingPath = join(folder, 'acting');
  let actingMap: BpfMap | undefined = existsSync(actingPath) ? native.openPinnedMap(actingPath) : undefined;

  for (const name of names) {
    if (!existsSync(at(name, 'programs'))) continue;
    gates.set(name, {
      slots: native.openPinnedMap(at(name, 'slots')),
      link: existsSync(at(name, 'links')) ? native.openPinnedLink(at(name, 'links')) : null,
      program: native.openPinnedProgram(at(name, 'programs')),
      pinned: true,
    });
  }

  const gate = (name: string): Gate => {
    const found = gates.get(name);
    if (found === undefined) throw createError('ERR_INTERNAL', { reason: `no gate ${name}` });
    return found;
  };
  const acting = (): number => actingMap?.get(KEY)?.readUInt32LE() ?? NO_SET;
  const next = (): number => (acting() === 0 ? 1 : 0);
  const put = (name: string, set: number, program: BpfProgram): void =>
    gate(name).slots.put(word(set), word(program.fd));

  function remove(name: string): void {
    const found = gates.get(name);
    if (found === undefined) return;
    gates.delete(name);
    if (found.pinned) unpin(name);
    found.link?.close();
    found.program.close();
    found.slots.close();
  }

  function unpin(name: string): void {
    for (const part of PARTS) if (existsSync(at(name, part))) unlinkSync(at(name, part));
  }

  return {
    areActing: () => acting() !== NO_SET && [...gates.values()].some(({ pinned }) => pinned),
    isPinned: (name) => gates.get(name)?.pinned === true,
    load(wanted) {
      const missing = wanted.filter((name) => !gates.has(name));
      if (missing.length === 0) return;
      const object = native.openObject(GATES_OBJECT);
      try {
        for (const { name } of object.programs)
          object.setAutoload(
            name,
            missing.some((each) => name === `${each}_gate`),
          );
        for (const name of object.maps.filter((each) => each.endsWith('_slots')))
          object.setAutocreate(
            name,
            missing.some((each) => name === `${each}_slots`),
          );
        if (actingMap) object.reuseMap('acting', actingMap);
        object.load();
      } catch (error) {
        object.close();
        throw error;
      }
      objects.push(object);
      if (actingMap === undefined) {
        actingMap = object.map('acting');
        actingMap.put(KEY, word(NO_SET));
      }
      for (const name of missing)
        gates.set(name, {
          slots: object.map(`${name}_slots`),
          link: null,
          program: object.program(`${name}_gate`),
          pinned: false,
        });
    },
    attach(name) {
      const found = gate(name);
      if (!found.pinned) found.link ??= found.program.attach();
    },
    remove,
    program: (name) => gate(name).program,
    actingProgram: (name) => gates.get(name)?.slots.get(word(acting()))?.readUInt32LE() ?? 0,
    fill: (name, program) => put(name, next(), program),
    replace: (name, program) => put(name, acting(), program),
    switchSets() {
      actingMap?.put(KEY, word(next()));
    },
    forgetOldSet() {
      for (const { slots } of gates.values()) slots.delete(word(next()));
    },
    pin() {
      for (const part of PARTS) mkdirSync(join(folder, part), { recursive: true, mode: 0o700 });
      if (actingMap && !existsSync(actingPath)) actingMap.pin(actingPath);
      for (const [name, found] of gates) {
        if (found.pinned) continue;
        // Of a gate that was not whole.
        unpin(name);
        found.slots.pin(at(name, 'slots'));
        found.link?.pin(at(name, 'links'));
        found.program.pin(at(name, 'programs'));
        found.pinned = true;
      }
    },
    keepOnly(wanted) {
      for (const name of [...gates.keys()]) if (!wanted.has(name)) remove(name);
    },
    stats: () => new Map([...gates].map(([name, { program }]) => [name, program.stats()])),
    linkedPrograms: () => [...gates.values()].flatMap(({ link }) => link?.programId ?? []),
    close() {
      for (const { slots, link, program } of gates.values()) {
        link?.close();
        program.close();
        slots.close();
      }
      actingMap?.close();
      for (const object of objects) object.close();
    },
  };
}

/** Takes all gates of a folder off the kernel, and their pins away. */
export function removeGates(folder: string): void {
  for (const part of PARTS) rmSync(join(folder, part), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
