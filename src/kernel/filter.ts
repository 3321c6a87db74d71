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

/** A new receiver is filtered at once by the addon's thread; who it is may be found out a moment later. */
const REFRESH_DELAY_MS = 20;

export function openFilter(native: NativeAddon, options: FilterOptions): Filter {
  const { settings, delivery, receivers, hooks } = options;
  let mode: FilterModeName = 'off';
  let udevTgid = 0;
  let timer: NodeJS.Timeout | undefined;

  const watch = native.watchReceivers(options.announcements, null, (outcome) => {
    options.onOutcome(outcome);
    timer ??= setTimeout(() => {
      timer = undefined;
      refresh();
    }, REFRESH_DELAY_MS);
  });

  function refresh(): void {
    receivers.scan();
    udevTgid = receivers.udevTgid();
    changeSettings(settings, { udevTgid });
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
