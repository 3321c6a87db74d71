/**
 * What of loopwarden is in the kernel, opened by its pins: for that a process needs to be root, and no capability (before Linux 5.19
 * CAP_BPF). The one who has loaded and attached it (src/kernel-loading.ts) may have been another.
 */
import { type Cleanup, createCleanup } from '../cleanup.js';
import { createError, reasonOf } from '../errors.js';
import { type Gates, openGates } from './gates.js';
import { type HookLink, type HookName, type HookOutcome, hookPrograms } from './hooks.js';
import { ITERATORS, type IteratorName } from './iterators.js';
import { LISTENER_PROGRAM, listenWith, openListenerFor } from './listener.js';
import { isOfActing, LOAD_REPORT, type LoadReport, linksOf, readLoadReport } from './load-report.js';
import type { BpfLink, BpfMap, BpfProgram, NativeAddon, UeventListener } from './native.js';
import { openPins, type Pins } from './pins.js';
import { PROGRAM_ITERATOR } from './program-names.js';
import { hashObjects } from './programs.js';
import { RECEIVER_ITERATOR } from './receivers.js';
import { refuseSecondAgent } from './second-agent.js';

export interface KernelSide {
  readonly pins: Pick<Pins, 'foreignRings' | 'foreignAggregates' | 'dropOtherLayouts' | 'arePresent'>;
  readonly gates: Gates;
  readonly outcomes: ReadonlyMap<HookName, readonly HookOutcome[]>;
  /** What the load has loaded, with what the verifier walked. */
  readonly programs: LoadReport['programs'];
  /** What the load found of an earlier one. */
  readonly earlier: Pick<LoadReport, 'quarantine' | 'scopeBefore'>;
  /** The host's, by its inum. */
  readonly networkNamespace: number;
  readonly listener: UeventListener;
  readonly listenerProgram: BpfProgram;
  readonly iterators: Readonly<Record<IteratorName, BpfLink>>;
  map(name: string): BpfMap;
  link(hook: HookName): HookLink;
  /** The filter on the receivers comes and goes with the filter mode. */
  setDelivery(attached: boolean): void;
  /** What is pinned stays attached. */
  close(): Promise<void>;
}

/**
 * Listens for uevents by what is pinned, from now on.
 *
 * @throws ERR_NOT_LOADED where nothing acts that this version would have loaded; ERR_ALREADY_RUNNING; as openPins
 */
export async function openKernelSide(native: NativeAddon, pinRoot: string): Promise<KernelSide> {
  const cleanup = createCleanup();
  try {
    return open(native, pinRoot, cleanup);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

function open(native: NativeAddon, pinRoot: string, cleanup: Cleanup): KernelSide {
  const pins = openPins(native, pinRoot);
  cleanup.add(() => pins.close());
  const gates = openGates(native, pins.gatesFolder, hookPrograms());
  cleanup.add(() => gates.close());
  const { report, links } = readLoaded(pins, gates);
  const { listenerProgram, iterators } = openForAgent(pins);
  cleanup.add(() => {
    for (const each of [listenerProgram, ...Object.values(iterators)]) each.close();
  });
  refuseSecondAgent(iterators[RECEIVER_ITERATOR], iterators[PROGRAM_ITERATOR]);
  const outcomes = new Map(report.outcomes.map(({ hook, outcomes: each }) => [hook, [...each]]));
  const link = (hook: HookName): HookLink => demand(links, hook);
  const map = (name: string): BpfMap => demand(pins.found, name);
  const listener = openListenerFor(native, link('uevent_emission'));
  cleanup.add(() => listener.close());
  listenWith(listener, listenerProgram, map('allowed_receivers'));
  return {
    pins,
    gates,
    outcomes,
    programs: report.programs,
    earlier: report,
    networkNamespace: report.networkNamespace,
    listener,
    listenerProgram,
    iterators,
    map,
    link,
    setDelivery(attached) {
      const { kind, place } = link('uevent_delivery');
      if (place !== 'receivers') return;
      outcomes
        .get('uevent_delivery')
        ?.splice(-1, 1, { state: attached ? 'attached' : 'detached', link: kind });
    },
    close: () => cleanup.run(),
  };
}

/** Of this version's objects, and acting: another version's may have been put in their place since. */
function readLoaded(
  pins: Pins,
  gates: Gates,
): { report: LoadReport; links: ReadonlyMap<HookName, HookLink> } {
  const report = readLoadReport(pins.found.get(LOAD_REPORT));
  if (report === undefined) throw createError('ERR_NOT_LOADED', { reason: 'nothing has been loaded' });
  if (!isOfActing(report, pins.found, gates) || report.objects !== hashObjects())
    throw createError('ERR_NOT_LOADED', { reason: 'what acts is of another version' });
  return { report, links: linksOf(report) };
}

function openForAgent(pins: Pins): Pick<KernelSide, 'listenerProgram' | 'iterators'> {
  try {
    return {
      listenerProgram: pins.openProgram(LISTENER_PROGRAM),
      iterators: Object.fromEntries(ITERATORS.map((name) => [name, pins.openIterator(name)])) as Record<
        IteratorName,
        BpfLink
      >,
    };
  } catch (error) {
    throw createError('ERR_NOT_LOADED', { reason: reasonOf(error) }, { cause: error });
  }
}

function demand<K, V>(things: ReadonlyMap<K, V>, name: K): V {
  const found = things.get(name);
  if (found === undefined) throw createError('ERR_INTERNAL', { reason: `nothing named ${name} is pinned` });
  return found;
}
