/** Takes down what an agent gets from its kernel and its host: the ring's batches as they come, the rest where it has changed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { gzipSync } from 'node:zlib';
import { FORMAT } from '../../src/demo/frame.js';
import { layoutText } from '../../src/demo/read-recording.js';
import { populatedUserNamespaces } from '../../src/devices/namespaces.js';
import { listLoops } from '../../src/devices/sysfs.js';
import { decodeBatch } from '../../src/events/decode.js';
import { openCgroupHierarchy } from '../../src/identity/cgroup-hierarchy.js';
import { createContainerResolver } from '../../src/identity/resolver.js';
import type { BpfMap, NativeAddon, RingReader } from '../../src/kernel/native.js';
import { loopPartShift } from '../../src/kernel/settings.js';
import type { AgentStatus } from '../../src/web/agent-api.js';

/** How often what counts is looked at. */
const SAMPLE_MS = 250;

export interface Recorder {
  /** For the agent: the same addon, whose ring is listened to. */
  native: NativeAddon;
  /** From now on: the agent's pinned maps, and what it says of itself. */
  begin(maps: ReadonlyMap<string, BpfMap>, status: () => AgentStatus): void;
  caption(text: string): void;
  /** The agent starts. */
  starting(): void;
  /** `stop` stops it, which reads the ring out. */
  stopping(stop: () => Promise<unknown>): Promise<void>;
  /** What only others can tell: receivers, loopfs. */
  note(name: 'receivers' | 'loopfs', value: unknown): void;
  end(): void;
  /** Returns the file's size. */
  write(path: string): number;
}

/** `images`: where all files of the story are. */
export function createRecorder(addon: NativeAddon, images: string): Recorder {
  const frames: string[] = [];
  const known = new Map<string, string>();
  const callers = new Set<string>();
  const containers = createContainerResolver({
    native: addon,
    hierarchy: openCgroupHierarchy(addon, () => {}),
  });
  let maps: ReadonlyMap<string, BpfMap> = new Map();
  let others: ReadonlySet<string> = new Set();
  let status: () => AgentStatus = () => {
    throw new Error('nothing is recorded yet');
  };
  /** A file that is not of the story. */
  let stranger: string | undefined;
  let reader: RingReader | undefined;
  let timer: NodeJS.Timeout | undefined;
  const started = (): boolean => maps.size > 0;

  const push = (frame: object): void => {
    frames.push(text({ atNs: addon.clocks().bootNs, ...frame }));
  };

  /** `value` where it is another than the last time. */
  const changed = <T>(name: string, value: T): { [key: string]: T } => {
    const now = text(value);
    if (known.get(name) === now) return {};
    known.set(name, now);
    return { [name]: value };
  };

  const mapsAsOfNow = (names: Iterable<string>): object => {
    const all = [...names].flatMap((name) => {
      const map = maps.get(name);
      if (map === undefined) return [];
      const { keys, values } = map.entries();
      return Object.entries(changed(`map ${name}`, { keys, values })).map(([, value]) => [name, value]);
    });
    return all.length === 0 ? {} : { maps: Object.fromEntries(all) };
  };

  const ownership = (): object => ({
    ...mapsAsOfNow(['owners', 'userns']),
    ...changed(
      'loops',
      listLoops().filter(({ name }) => !others.has(name)),
    ),
    ...changed('populated', knownOf(populatedUserNamespaces(addon))),
  });

  /** Of all namespaces only those that the programs know: the others are nobody's business. */
  const knownOf = (populated: Set<number>): number[] => {
    const values = maps.get('userns')?.entries().values ?? Buffer.alloc(0);
    const size = maps.get('userns')?.valueSize ?? 1;
    const inums = new Set<number>();
    // `inum` of struct userns_entry is behind two 64-bit words.
    for (let at = 16; at + 4 <= values.length; at += size) inums.add(values.readUInt32LE(at));
    return [...populated].filter((inum) => inums.has(inum)).sort((a, b) => a - b);
  };

  const sample = (): void => {
    const { hooks, programs } = status();
    const frame = {
      ...ownership(),
      ...mapsAsOfNow(maps.keys()),
      ...(reader && changed('ring', reader.stats())),
      ...changed('hooks', hooks),
      ...changed('programs', programs),
    };
    if (Object.keys(frame).length > 0) push(frame);
  };

  const onBatch = (records: Buffer): void => {
    if (!started()) return;
    const fresh = decodeBatch(records).events.flatMap((event) => {
      if (event.kind === 'ioctl' && event.backingPath?.startsWith(images) === false)
        stranger ??= event.backingPath;
      const caller = event.kind === 'ioctl' ? event.record.caller : event.record.emitter;
      const { pid, startBootNs } = caller;
      if (callers.has(`${pid}/${startBootNs}`)) return [];
      callers.add(`${pid}/${startBootNs}`);
      return { pid, startBootNs, container: containers.containerOf(caller) };
    });
    push({ ...ownership(), ...(fresh.length > 0 && { callers: fresh }), records });
  };

  return {
    native: {
      ...addon,
      // The story is told by this process, too, and what it starts: they stay root.
      dropCapabilities: () => 0,
      openRingReader(map, take) {
        const opened = addon.openRingReader(map, (bytes, count, end) => {
          onBatch(bytes);
          take(bytes, count, end);
        });
        reader = opened;
        return opened;
      },
    },
    begin(pinned, tell) {
      maps = pinned;
      status = tell;
      // What somebody has attached already is none of the story's.
      others = new Set(listLoops().flatMap(({ name, backing }) => (backing === null ? [] : name)));
      sample();
      timer = setInterval(sample, SAMPLE_MS);
    },
    caption: (caption) => push({ caption }),
    starting: () => push({ agent: 'start' }),
    async stopping(stop) {
      // It is closed in between.
      reader = undefined;
      await stop();
      push({ agent: 'stop' });
    },
    note(name, value) {
      const frame = changed(name, value);
      if (Object.keys(frame).length > 0) push(frame);
    },
    end() {
      clearInterval(timer);
      sample();
      push({ agent: 'stop' });
    },
    write(path) {
      if (stranger !== undefined)
        throw new Error(`somebody else attached ${stranger} meanwhile: record again when nobody does`);
      const shapes = [...maps].map(([name, { keySize, valueSize, maxEntries, cpus }]) => [
        name,
        { keySize, valueSize, maxEntries, cpus },
      ]);
      const header = text({
        format: FORMAT,
        layout: layoutText(),
        // As a release is numbered; what a distribution adds says nothing here.
        kernel: /^\d+\.\d+/.exec(release())?.[0] ?? release(),
        partShift: loopPartShift(),
        maps: Object.fromEntries(shapes),
      });
      const packed = gzipSync([header, ...frames, ''].join('\n'), { level: 9 });
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, packed);
      return packed.length;
    },
  };
}

/** JSON as frame.ts takes it: 64-bit numbers as digits, bytes in base64. */
function text(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, seen: unknown) {
    const given = this[key];
    if (typeof given === 'bigint') return given.toString();
    return Buffer.isBuffer(given) ? given.toString('base64') : seen;
  });
}
