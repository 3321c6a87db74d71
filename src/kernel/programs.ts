/** Joins the BPF objects into one, checks that it was built from this agent's sources, and loads the chosen programs. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import { LAYOUT_HASH } from './abi.js';
import { hasLoopDriver, readKernelBtf } from './kernel-btf.js';
import type { BpfMap, BpfObject, BpfProgram, Btf, NativeAddon, NativeError } from './native.js';
import { AGENT_OBJECTS } from './paths.js';

export interface ProgramOptions {
  programs: readonly string[];
  /** Map name → existing map to use. */
  reuse: ReadonlyMap<string, BpfMap>;
  /** Map name → entries (bytes for a ring buffer). */
  sizes: Readonly<Record<string, number>>;
}

export interface LoadedPrograms {
  map(name: string): BpfMap;
  hasMap(name: string): boolean;
  mapNames(): string[];
  program(name: string): BpfProgram;
  hasProgram(name: string): boolean;
  /** Programs that are attached somewhere go on running. */
  close(): void;
}

/** @throws ERR_ABI_MISMATCH, ERR_PROGRAM_REFUSED, ERR_BPF_REFUSED */
export function loadPrograms(native: NativeAddon, options: ProgramOptions): LoadedPrograms {
  const folder = mkdtempSync(join(tmpdir(), 'loopwarden-'));
  let object: BpfObject | undefined;
  try {
    object = openJoined(native, join(folder, 'agent.bpf.o'));
    checkLayout(object);
    const constants = kernelConstants(native, options.programs);
    for (const [name, value] of Object.entries(constants)) object.setGlobal(name, value);
    object.setAutocreate(constants.has_task_storage ? 'calls_by_thread' : 'calls', false);
    for (const { name } of object.programs) object.setAutoload(name, options.programs.includes(name));
    for (const [name, map] of options.reuse) reuse(object, name, map);
    for (const [name, entries] of Object.entries(options.sizes))
      if (!options.reuse.has(name)) object.setMaxEntries(name, entries);
    load(object);
    return keepHandles(object, options.programs);
  } catch (error) {
    object?.close();
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function openJoined(native: NativeAddon, path: string): BpfObject {
  const linker = native.openLinker(path);
  try {
    for (const source of AGENT_OBJECTS) linker.addFile(source);
    linker.finalize();
  } finally {
    linker.close();
  }
  return native.openObject(path);
}

/** Everything that makes of these programs what the kernel runs: the objects' bytes, and what is set in them. */
export function describeBuild(native: NativeAddon, programs: readonly string[]): string {
  return createHash('sha256')
    .update(hashObjects())
    .update(JSON.stringify(kernelConstants(native, programs)))
    .digest('hex');
}

/** Of the objects' bytes: whether two agents come with the same programs. */
export function hashObjects(): string {
  const hash = createHash('sha256');
  for (const path of AGENT_OBJECTS) hash.update(readFileSync(path));
  return hash.digest('hex');
}

/** What the programs are to know of this kernel (bpf/read.bpf.h). Unknown functions and types leave the safe default. */
function kernelConstants(native: NativeAddon, programs: readonly string[]) {
  // A program on a kprobe may not call the cast.
  const mayCast = !programs.some((name) => name.endsWith('probe'));
  return readKernelBtf(native, (btf) => ({
    direct_reads: Number(mayCast && btf.find('bpf_rdonly_cast', 'func') !== 0),
    loop_is_built_in: Number(hasLoopDriver(btf)),
    has_task_storage: Number(btf.find('bpf_task_storage_get', 'func') !== 0),
    dev_uevent_has_kset: Number(parameterCount(btf, 'dev_uevent') === 3),
  }));
}

/** 0: this kernel has no such function. */
function parameterCount(btf: Btf, name: string): number {
  const id = btf.find(name, 'func');
  return id === 0 ? 0 : btf.type(btf.type(id).type).members.length;
}

/** A pinned map of another kind or size would have its words misread. */
function reuse(object: BpfObject, name: string, map: BpfMap): void {
  try {
    object.reuseMap(name, map);
  } catch (error) {
    throw createError('ERR_FOREIGN_PIN', { path: name, reason: reasonOf(error) }, { cause: error });
  }
}

/** Of the two maps of calls, one is not made. */
function createdMap(object: BpfObject, name: string): [string, BpfMap][] {
  try {
    return [[name, object.map(name)]];
  } catch (error) {
    if ((error as NativeError).code === 'ENOENT') return [];
    throw error;
  }
}

function checkLayout(object: BpfObject): void {
  const found = object.getGlobal('layout_hash');
  if (found === LAYOUT_HASH) return;
  throw createError('ERR_ABI_MISMATCH', { expected: LAYOUT_HASH.toString(16), found: found.toString(16) });
}

function load(object: BpfObject): void {
  try {
    object.load();
  } catch (error) {
    const { code, log = '' } = error as NativeError;
    if (code === 'EPERM') throw createError('ERR_BPF_REFUSED', { reason: reasonOf(error) }, { cause: error });
    // The first complaint that names a program; the rest follows from it.
    const program = /prog '([^']+)'/.exec(log)?.[1] ?? 'of the agent';
    const last = log.trim().split('\n').at(-1) ?? '';
    throw createError(
      'ERR_PROGRAM_REFUSED',
      { program, reason: `${reasonOf(error)}: ${last}` },
      { cause: error },
    );
  }
}

function keepHandles(object: BpfObject, names: readonly string[]): LoadedPrograms {
  const maps = new Map(
    object.maps.filter((name) => !name.startsWith('.')).flatMap((name) => createdMap(object, name)),
  );
  const programs = new Map(names.map((name) => [name, object.program(name)]));
  object.close();
  return {
    map: (name) => demand(maps, name),
    hasMap: (name) => maps.has(name),
    mapNames: () => [...maps.keys()],
    program: (name) => demand(programs, name),
    hasProgram: (name) => programs.has(name),
    close() {
      for (const handle of [...maps.values(), ...programs.values()]) handle.close();
    },
  };
}

function demand<T>(handles: ReadonlyMap<string, T>, name: string): T {
  const handle = handles.get(name);
  if (handle === undefined) throw createError('ERR_INTERNAL', { reason: `nothing named ${name} was loaded` });
  return handle;
}
