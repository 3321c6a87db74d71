/**
 * Puts loopwarden's programs into the kernel: loads them, attaches them, sees each hook run, and pins it all. It needs capabilities, and is
 * over in a moment; the agent (src/agent.ts) goes on with the pins, in this process or in one that has no capability for it.
 */
import type { Logger } from 'pino';
import { createCleanup } from './cleanup.js';
import type { Config } from './config/schema.js';
import { reconcileOwners } from './devices/owners.js';
import { adoptStacks, releaseStacks } from './devices/stacks.js';
import { reasonOf } from './errors.js';
import { setBudgets } from './events/budgets.js';
import { ACTING_BUILD, isActingBuild, keepActingBuild } from './kernel/acting-set.js';
import { chooseHooks, refusedProgram } from './kernel/attach.js';
import { openGates } from './kernel/gates.js';
import { HOOK_NAMES, hookPrograms, LISTENER_BODY } from './kernel/hooks.js';
import { ITERATED_MAPS, ITERATORS } from './kernel/iterators.js';
import { LISTENER_PROGRAM } from './kernel/listener.js';
import {
  isOfActing,
  keepLoadReport,
  LOAD_REPORT,
  type LoadReport,
  readLoadReport,
} from './kernel/load-report.js';
import { waitForLoopDriver } from './kernel/loop-driver.js';
import type { BpfLink, BpfMap, NativeAddon } from './kernel/native.js';
import { checkDriverTypes, checkPermission } from './kernel/permission.js';
import { openPins, type Pinnable } from './kernel/pins.js';
import { PROGRAM_ITERATOR } from './kernel/program-names.js';
import { describeBuild, hashObjects, type LoadedPrograms, loadPrograms } from './kernel/programs.js';
import { forgetReceiver } from './kernel/receiver-access.js';
import { ownNetworkNamespace, RECEIVER_ITERATOR } from './kernel/receivers.js';
import { refuseSecondAgent } from './kernel/second-agent.js';
import { changeSettings, loopPartShift, readScope } from './kernel/settings.js';
import { recoverOwners } from './owner-recovery.js';

export interface Loading {
  report: LoadReport;
  /** Whether nothing of an earlier load was there. */
  isFirst: boolean;
  /** Of a first load, all of it: pins and what they hold. What an earlier one began goes on in any case. */
  undo(): void;
}

/**
 * Waits for the loop driver. False: `stop` came first.
 *
 * @throws ERR_NOT_ROOT, ERR_NO_BTF, ERR_BPF_REFUSED where this process may not load
 */
export async function waitUntilLoadable(
  native: NativeAddon,
  log: Logger,
  stop: AbortSignal,
): Promise<boolean> {
  checkPermission(native);
  const driverThere = await waitForLoopDriver(stop, () =>
    log.warn('waiting for the loop driver: modprobe loop, or install the package that holds the module'),
  );
  if (driverThere) checkDriverTypes();
  return driverThere;
}

/**
 * After `waitUntilLoadable`.
 *
 * @throws every error of the table that the kernel is the cause of; then what this load has done is undone
 */
export async function loadKernelSide(native: NativeAddon, config: Config, log: Logger): Promise<Loading> {
  const opened = createCleanup();
  try {
    return load(native, config, log, opened.add);
  } finally {
    await opened
      .run()
      .catch((error: unknown) => log.error({ err: error }, 'closing what was loaded, which stays pinned'));
  }
}

const isOnListener = (name: string): boolean => name === LISTENER_PROGRAM || name === LISTENER_BODY;

/** `whenDone`: closes what is open here; what is pinned stays. */
function load(
  native: NativeAddon,
  config: Config,
  log: Logger,
  whenDone: (close: () => void) => void,
): Loading {
  const pins = openPins(native, config.pins.path);
  whenDone(pins.close);
  const gates = openGates(native, pins.gatesFolder, hookPrograms());
  whenDone(gates.close);
  const hooks = chooseHooks(native, { gates, avoid: config.hooks.avoid });
  whenDone(hooks.close);
  const partShift = loopPartShift();
  const before = readLoadReport(pins.found.get(LOAD_REPORT));
  const noted = before && isOfActing(before, pins.found, gates) ? before.owners : undefined;
  const recovery = recoverOwners(native, { pins, gates, names: hookPrograms(), noted, partShift });
  whenDone(() => recovery?.close());
  // Loaded, but nothing attached yet: an agent may be at work.
  const { programs, reused } = loadChosen();
  whenDone(programs.close);
  const iterators = new Map(
    ITERATORS.map((name) => {
      const walked = ITERATED_MAPS[name];
      return [
        name,
        programs.program(name).attach(walked === undefined ? undefined : programs.map(walked)),
      ] as const;
    }),
  );
  whenDone(() => {
    for (const link of iterators.values()) link.close();
  });
  refuseSecondAgent(
    iterators.get(RECEIVER_ITERATOR) as BpfLink,
    iterators.get(PROGRAM_ITERATOR) as BpfLink,
    hooks.listener().inode,
  );
  // From here on what an earlier agent left is ours.
  try {
    return attach();
  } catch (error) {
    pins.undo();
    throw error;
  }

  function attach(): Loading {
    const owners = programs.map('owners');
    const stacks = { owners, disks: programs.map('disks'), stackLinks: programs.map('stack_links') };
    recovery?.fill(owners);
    // Only where no programs went on writing to it.
    if (pins.found.size > 0 && !gates.areActing()) {
      log.info(reconcileOwners(owners, partShift), 'owner map of an earlier agent taken over');
      releaseStacks(stacks, native.clocks().bootNs);
    }
    const aside = pins.keep(programs);
    // Before the switch: what an earlier agent's programs did, these are to do from their first call.
    const scopeBefore = readScope(programs.map('settings'));
    changeSettings(programs.map('settings'), { mode: config.filter.mode, scope: config.hide.scope });
    setBudgets(programs.map('record_budgets'), {
      ringBytes: programs.map('events').maxEntries,
      recordsPerSecond: config.limits.records_per_second,
    });
    const extra: LoadedPrograms[] = [];
    whenDone(() => {
      for (const each of extra) each.close();
    });
    const loadMore = (names: readonly string[]): LoadedPrograms => {
      const more = loadPrograms(native, { programs: names, reuse: mapsOf(programs), sizes: {} });
      extra.push(more);
      return more;
    };
    hooks.attach(programs, loadMore, { reuse: reused });
    // Before what says that they act: it is to lead nowhere rather than to another map.
    pins.keepOwnersAgain(owners);
    // With the links that it came to.
    const build = buildOf();
    keepActingBuild(programs.map(ACTING_BUILD), gates, hooks.gatePrograms(), build);
    if (reused) log.info('the programs of an earlier agent are of this build, and go on');
    gates.pin();
    const adopted = adoptStacks(stacks);
    if (adopted.length > 0) log.info({ disks: adopted }, 'found on devices of user namespaces');
    const quarantine = recovery && {
      map: 'owners',
      fault: recovery.fault,
      pin: aside.get('owners') ?? '',
      ...recovery.fill(owners),
    };
    if (quarantine) log.error(quarantine, 'the pinned owner map cannot be believed: it is set aside');
    pins.keepForAgent(
      new Map<string, Pinnable>([[LISTENER_PROGRAM, programs.program(LISTENER_PROGRAM)], ...iterators]),
    );
    const report = { ...reportOf(build, [...extra, programs]), owners: owners.id, quarantine, scopeBefore };
    // Last: without it nobody goes on with the rest.
    keepLoadReport(programs.map(LOAD_REPORT), report);
    whenDone(() => forgetReceiver(programs.map('allowed_receivers'), hooks.listener().cookie));
    const isFirst = pins.found.size === 0;
    return { report, isFirst, undo: () => isFirst && pins.undo() };
  }

  function reportOf(build: string, sources: readonly LoadedPrograms[]): LoadReport {
    return {
      build,
      objects: hashObjects(),
      outcomes: HOOK_NAMES.map((hook) => ({ hook, outcomes: hooks.outcomes.get(hook) ?? [] })),
      programs: [...hooks.programs(), ...ITERATORS].flatMap((name) => {
        // A hook that took another link at its first try has its programs elsewhere.
        const source = sources.find((each) => each.hasProgram(name));
        return source ? { name, verifiedInstructions: source.program(name).verifiedInstructions } : [];
      }),
      networkNamespace: ownNetworkNamespace(),
    };
  }

  function buildOf(): string {
    return describeBuild(native, hooks.programs());
  }

  /** Where the kernel refuses a program, its hook's next link is taken. */
  function loadChosen(): { programs: LoadedPrograms; reused: boolean } {
    const refusals: string[] = [];
    for (;;) {
      const reused =
        recovery?.rebuilt !== true &&
        isActingBuild(pins.found.get(ACTING_BUILD), gates, hooks.gatePrograms(), buildOf());
      try {
        const loaded = loadPrograms(native, {
          programs: [...hooks.programs().filter((name) => !reused || isOnListener(name)), ...ITERATORS],
          reuse: pins.found,
          sizes: mapSizes(config),
        });
        // Only now: a start that fails says it in its error.
        for (const reason of refusals)
          log.warn({ reason }, 'the kernel refused a program; its hook takes another link');
        return { programs: loaded, reused };
      } catch (error) {
        const program = refusedProgram(error);
        if (program === undefined) throw error;
        refusals.push(reasonOf(error));
        hooks.refuse(program, reasonOf(error));
      }
    }
  }
}

function mapsOf(programs: LoadedPrograms): Map<string, BpfMap> {
  return new Map(programs.mapNames().map((name) => [name, programs.map(name)]));
}

function mapSizes({ ring, limits }: Config): Record<string, number> {
  return {
    events: ring.size_bytes,
    owners: limits.devices,
    userns: limits.user_namespaces,
    userns_stamps: limits.user_namespaces,
    inflight: limits.inflight,
    calls_by_thread: limits.inflight,
  };
}
