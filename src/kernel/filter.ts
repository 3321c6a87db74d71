/** The filter as a whole: its mode, what is on the receivers, and the watch for new ones. */
import type { AttachOutcome, BpfMap, BpfProgram, NativeAddon } from './native.js';
import type { Receivers } from './receivers.js';
import { changeSettings, type FilterModeName } from './settings.js';

export interface Filter {
  mode(): FilterModeName;
  /** `off` takes the filter off every receiver; the others put it on. */
  setMode(mode: FilterModeName): void;
  /** Looks for receivers that were missed, and who udevd is now. */
  refresh(): void;
  close(): void;
}

export interface FilterOptions {
  settings: BpfMap;
  announcements: BpfMap;
  /** Of the gate for sockets; null where the kernel's own hook filters every receiver. */
  delivery: () => BpfProgram | null;
  receivers: Receivers;
  hooks: { setDelivery(attached: boolean): void };
  onOutcome: (outcome: AttachOutcome) => void;
}

/**
 * A new receiver is filtered at once by the addon's thread. Whether it may hear everything is found out as soon: of many that
 * come together, for the first one at once and then for all.
 */
const REFRESH_INTERVAL_MS = 20;

export function openFilter(native: NativeAddon, options: FilterOptions): Filter {
  const { settings, delivery, receivers, hooks } = options;
  let mode: FilterModeName = 'off';
  let udevTgid = 0;
  let timer: NodeJS.Timeout | undefined;
  let refreshedAtMs = Number.NEGATIVE_INFINITY;

  const watch = native.watchReceivers(options.announcements, null, (outcome) => {
    options.onOutcome(outcome);
    const waitMs = refreshedAtMs + REFRESH_INTERVAL_MS - performance.now();
    timer ??= setTimeout(
      () => {
        timer = undefined;
        refresh();
      },
      Math.max(0, waitMs),
    );
  });

  function refresh(): void {
    receivers.scan();
    udevTgid = receivers.udevTgid();
    changeSettings(settings, { udevTgid });
    // Now: a search takes long where there are many processes, and must not fill the agent's time.
    refreshedAtMs = performance.now();
  }

  return {
    mode: () => mode,
    setMode(next) {
      mode = next;
      // The mode first: whatever filter is still on a receiver obeys it from now on.
      changeSettings(settings, { mode });
      watch.setProgram(mode === 'off' ? null : delivery());
      if (mode === 'off') receivers.detachAll();
      refresh();
      hooks.setDelivery(mode !== 'off');
    },
    refresh,
    close() {
      clearTimeout(timer);
      watch.close();
    },
  };
}
