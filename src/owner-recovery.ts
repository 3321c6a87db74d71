/**
 * A start with an owner map that is not to be believed: it is set aside for a person to look at, and what of it can be true
 * goes on. Decision 18 says which way each doubt goes.
 *
 * Programs that act have the map open, whatever became of its pin: then theirs is taken, and nothing is lost. Only where the
 * entries themselves are wrong is a new map made, of those that can be true.
 */
import { loopName } from './devices/devno.js';
import { HASH_MAP, inspectOwners, type OwnerFault } from './devices/owner-faults.js';
import { devnoKey, USERNS_NONE } from './devices/owners.js';
import { readLoop } from './devices/sysfs.js';
import { OWNER_ENTRY_SIZE, type OwnerEntry } from './kernel/abi.js';
import { readDrops } from './kernel/counters.js';
import type { Gates } from './kernel/gates.js';
import type { BpfMap, NativeAddon, NativeError } from './kernel/native.js';
import type { Pins } from './kernel/pins.js';

export interface OwnerRecovery {
  /** What was wrong: the first of it. */
  fault: OwnerFault;
  /** The acting programs have a new map, and are to be replaced by ones that use it. */
  rebuilt: boolean;
  /** Puts what can be true into the new map: before the switch, and after it what has changed until then. */
  fill(owners: BpfMap): { kept: number; lost: number };
  /** Of what was set aside. */
  close(): void;
}

interface Options {
  pins: Pins;
  gates: Gates;
  /** Names of gates: one that acts tells which map its programs use. */
  names: readonly string[];
  /** The id of that map, as the load that made them act has noted it. */
  noted: number | undefined;
  partShift: number;
}

/** Undefined: the pinned map is sound, or there is none. Nothing is renamed before Pins.keep. */
export function recoverOwners(native: NativeAddon, options: Options): OwnerRecovery | undefined {
  const { pins, partShift } = options;
  const pinned = pins.found.get('owners');
  if (pinned === undefined && !pins.unreadable.has('owners')) return undefined;
  const acting = actingOwners(native, options) ?? ownersAgain(options);
  const isActings = acting === undefined || acting.id === pinned?.id;
  if (pinned === undefined || !isOwnerMap(pinned) || !isActings) {
    pins.setAside('owners', acting);
    const nothing = { kept: 0, lost: 0 };
    return {
      fault: 'shape',
      rebuilt: acting === undefined,
      fill: () => nothing,
      close: () => pinned?.close(),
    };
  }
  if (acting !== pins.ownersAgain) acting?.close();
  const drops = pins.found.get('drop_counts');
  const wasFull = drops !== undefined && (readDrops(drops).userns_map_full ?? 0) > 0;
  const inspect = () =>
    inspectOwners(pinned, pins.found.get('userns'), { partShift, wasFull, bootNs: native.clocks().bootNs });
  const fault = [...inspect().values()].find((each) => each.fault !== undefined)?.fault;
  if (fault === undefined) return undefined;
  pins.setAside('owners');
  const put = new Map<number, Buffer>();
  return {
    fault,
    rebuilt: true,
    fill(owners) {
      let [kept, lost] = [0, 0];
      for (const [devno, { entry, bytes, fault: wrong }] of inspect()) {
        const believed = believe(devno, entry, wrong, partShift);
        if (!believed) lost++;
        else {
          kept++;
          const now = owners.get(devnoKey(devno));
          const before = put.get(devno);
          // What the new programs have written since, or deleted, is newer.
          const isOurs = before === undefined ? now === null : now?.equals(before) === true;
          if (isOurs && before?.equals(bytes) !== true) owners.put(devnoKey(devno), bytes);
          put.set(devno, bytes);
        }
      }
      return { kept, lost };
    },
    close: () => pinned.close(),
  };
}

/**
 * An owner that no table knows is believed if the life is the one that lasts: whoever it is, the host it is not. All other
 * doubts go for the host: its own device must never be hidden.
 */
function believe(
  devno: number,
  entry: OwnerEntry,
  fault: OwnerFault | undefined,
  partShift: number,
): boolean {
  if (fault === undefined) return true;
  if (fault !== 'owner' || entry.holder === USERNS_NONE) return false;
  const loop = readLoop(loopName(devno, partShift));
  return loop?.devno === devno && loop.backing !== null && loop.diskseq === entry.holderDiskseq;
}

function isOwnerMap({ type, keySize, valueSize }: BpfMap): boolean {
  return type === HASH_MAP && keySize === 4 && valueSize === OWNER_ENTRY_SIZE;
}

/** Null where this process may not ask for a program by its id: that takes CAP_SYS_ADMIN, which a load may be without. */
function mapOfProgram(native: NativeAddon, program: number): BpfMap | null {
  try {
    return native.openMapOfProgram(program, 'owners');
  } catch (error) {
    if ((error as NativeError).code === 'EPERM') return null;
    throw error;
  }
}

/**
 * The pin beside the gates, where it is that map: it was noted as it, or nobody has noted any, and the first pin cannot be it. A load
 * puts the first pin in its place before its programs act, and the second after that: where both could be, the first is right.
 */
function ownersAgain({ pins, gates, noted }: Options): BpfMap | undefined {
  const { found, ownersAgain: again } = pins;
  const first = found.get('owners');
  if (again === undefined || !isOwnerMap(again) || !gates.areActing()) return undefined;
  const isFirst = noted === undefined ? first !== undefined && isOwnerMap(first) : again.id !== noted;
  return isFirst ? undefined : again;
}

function actingOwners(native: NativeAddon, { gates, names }: Options): BpfMap | undefined {
  if (!gates.areActing()) return undefined;
  for (const name of names) {
    const program = gates.actingProgram(name);
    const map = program === 0 ? null : mapOfProgram(native, program);
    if (map === null) continue;
    if (isOwnerMap(map)) return map;
    map.close();
  }
  return undefined;
}
