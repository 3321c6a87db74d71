/** What the recording's kernel and host are like at the moment that is played. */
import type { HostView } from '../devices/inventory.js';
import { livingUserNamespaces } from '../devices/namespaces.js';
import type { SysfsLoop } from '../devices/sysfs.js';
import type { Container } from '../identity/container.js';
import type { ContainerResolver } from '../identity/resolver.js';
import type { BpfMap } from '../kernel/native.js';
import type { LoadedPrograms } from '../kernel/programs.js';
import type { Receiver } from '../kernel/receivers.js';
import type { Frame, Recording } from './frame.js';
import type { Pass } from './pass.js';
import { countersIn, createReplayedMap, type MapContents, ownersIn } from './replayed-map.js';

/** State that is what it is; all other maps count. */
const STATE_MAPS: ReadonlySet<string> = new Set(['owners', 'userns']);

export interface Stage {
  /** What the frame says is so from now on. */
  show(frame: Frame, pass: Pass): void;
  readonly programs: LoadedPrograms;
  readonly host: HostView;
  readonly containers: ContainerResolver;
  ring(): NonNullable<Frame['ring']>;
  receivers(): readonly Receiver[];
  hooks(): NonNullable<Frame['hooks']>;
  programList(): NonNullable<Frame['programs']>;
  loopfs(): NonNullable<Frame['loopfs']> | undefined;
}

export function createStage({ header, frames }: Recording): Stage {
  const contents = new Map<string, MapContents>();
  const maps = new Map<string, BpfMap>();
  const first = firstContents(frames);
  const last = lastContents(frames);
  const containers = new Map<string, Container>();
  let passNumber = 0;
  let loops: SysfsLoop[] = [];
  let populated: Set<number> = new Set();
  let ring: NonNullable<Frame['ring']> = { availableBytes: 0, unreadBytes: 0, sizeBytes: 0 };
  let receivers: readonly Receiver[] = [];
  let hooks: NonNullable<Frame['hooks']> = [];
  let programs: NonNullable<Frame['programs']> = [];
  let loopfs: Frame['loopfs'];

  const mapOf = (name: string): BpfMap => {
    const known = maps.get(name) ?? createReplayedMap(name, header.maps[name], () => contents.get(name));
    maps.set(name, known);
    return known;
  };

  const contentsIn = (pass: Pass, name: string, { keys, values }: MapContents): MapContents => {
    if (name === 'owners') return { keys, values: ownersIn(pass, values) };
    const [from, to] = [first.get(name), last.get(name)];
    if (STATE_MAPS.has(name) || from === undefined || to === undefined) return { keys, values };
    return { keys, values: countersIn(pass, values, from.values, to.values) };
  };

  return {
    show(frame, pass) {
      if (pass.number !== passNumber) containers.clear();
      passNumber = pass.number;
      for (const [name, each] of Object.entries(frame.maps ?? {}))
        contents.set(name, contentsIn(pass, name, each));
      for (const { pid, startBootNs, container } of frame.callers ?? [])
        containers.set(callerKey(pid, pass.timeOf(startBootNs)), container);
      if (frame.loops)
        loops = frame.loops.map((loop) => ({ ...loop, diskseq: pass.diskseqOf(loop.diskseq) }));
      if (frame.populated) populated = new Set(frame.populated);
      ring = frame.ring ?? ring;
      receivers = frame.receivers ?? receivers;
      hooks = frame.hooks ?? hooks;
      programs = frame.programs ?? programs;
      if (frame.loopfs !== undefined) loopfs = frame.loopfs;
    },
    programs: {
      map: mapOf,
      hasMap: (name) => header.maps[name] !== undefined,
      mapNames: () => Object.keys(header.maps),
      program(name) {
        throw new Error(`the program ${name} is a recording`);
      },
      hasProgram: () => false,
      close: () => {},
    },
    host: {
      listLoops: () => loops,
      readLoop: (name) => loops.find((loop) => loop.name === name),
      readDisk: () => undefined,
      diskOf: () => undefined,
      lookForUsers: () => (id, known) => livingUserNamespaces(known, populated).has(id),
    },
    containers: {
      containerOf: ({ pid, startBootNs, cgroupId }) =>
        containers.get(callerKey(pid, startBootNs)) ?? {
          runtime: 'unknown',
          id: `cgroup ${cgroupId}`,
          confidence: 'low',
          source: 'nothing',
          cgroup: '',
        },
      containerOfUserns: () => undefined,
      containerOfPidns: () => undefined,
    },
    ring: () => ring,
    receivers: () => receivers,
    hooks: () => hooks,
    programList: () => programs,
    loopfs: () => loopfs ?? undefined,
  };
}

function callerKey(pid: number, startBootNs: bigint): string {
  return `${pid}/${startBootNs}`;
}

function firstContents(frames: readonly Frame[]): Map<string, MapContents> {
  return lastContents(frames.toReversed());
}

/** Of each map, as its last frame has it. */
function lastContents(frames: readonly Frame[]): Map<string, MapContents> {
  return new Map(frames.flatMap(({ maps = {} }) => Object.entries(maps)));
}
