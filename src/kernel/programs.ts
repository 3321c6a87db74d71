/** Joins the BPF objects into one, checks that it was built from this agent's sources, and loads the chosen programs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createError, reasonOf } from '../errors.js';
import { LAYOUT_HASH } from './abi.js';
import { hasLoopDriver, readKernelBtf } from './kernel-btf.js';
import type { BpfMap, BpfObject, BpfProgram, NativeAddon, NativeError } from './native.js';
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
  program(name: string): BpfProgram;
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
    for (const [name, value] of Object.entries(kernelConstants(native))) object.setGlobal(name, value);
    for (const { name } of object.programs) object.setAutoload(name, options.programs.includes(name));
    for (const [name, map] of options.reuse) object.reuseMap(name, map);
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

/** What the programs are to know of this kernel (bpf/read.bpf.h). Unknown functions and types leave the safe default. */
function kernelConstants(native: NativeAddon): Record<string, number> {
  return readKernelBtf(native, (btf) => ({
    direct_reads: Number(btf.find('bpf_rdonly_cast', 'func') !== 0),
    loop_is_built_in: Number(hasLoopDriver(btf)),
  }));
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
    object.maps.filter((name) => !name.startsWith('.')).map((name) => [name, object.map(name)]),
  );
  const programs = new Map(names.map((name) => [name, object.program(name)]));
  object.close();
  return {
    map: (name) => demand(maps, name),
    program: (name) => demand(programs, name),
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
