/** Why the agent is not ready: what of its config it cannot do now. */
import type { LoadedConfig } from './config/load.js';
import { HOOK_NAMES } from './kernel/hooks.js';
import type { KernelSide } from './kernel/kernel-side.js';
import type { Receivers } from './kernel/receivers.js';
import type { FilterModeName } from './kernel/settings.js';

interface Options {
  kernel: Pick<KernelSide, 'outcomes' | 'pins'>;
  receivers: Pick<Receivers, 'list'>;
  filterMode: () => FilterModeName;
  configured: LoadedConfig['config']['filter']['mode'];
  hasStarted: () => boolean;
}

/** In words for /readyz; none: it is ready. */
export function createReadiness(options: Options): () => string[] {
  const { kernel, receivers, configured } = options;
  return () => {
    const started = options.hasStarted();
    const mode = options.filterMode();
    const missing = HOOK_NAMES.filter(
      (name) => !kernel.outcomes.get(name)?.some(({ state }) => state === 'attached'),
    ).filter((name) => name !== 'uevent_delivery' || mode !== 'off');
    const bare = mode === 'off' ? [] : receivers.list().filter((each) => each.class === 'unfiltered');
    return [
      ...(started ? [] : ['starting']),
      ...(started && !kernel.pins.arePresent() ? ['the pins are gone: is bpffs unmounted?'] : []),
      ...missing.map((name) => `hook ${name} is not attached`),
      ...(mode === configured ? [] : [`filter is ${mode}, the config says ${configured}`]),
      ...bare.map(({ pid, why }) => `receiver of process ${pid} is unfiltered: ${why}`),
    ];
  };
}
