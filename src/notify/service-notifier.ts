/** What a service manager (systemd) is told of this process: that it is ready, still alive, and about to end. */
import { reasonOf } from '../errors.js';
import type { NativeAddon } from '../kernel/native.js';

export interface ServiceNotifier {
  /** From now on it is also told, as often as it has asked for (WatchdogSec=), that the event loop turns. */
  ready(status: string): void;
  stopping(): void;
}

export interface ServiceNotifierOptions {
  native: Pick<NativeAddon, 'notifyService'>;
  /** Where the manager has said how to reach it. Taken out: a child process must not speak for this one. */
  env: NodeJS.ProcessEnv;
  /** Called once: what cannot be told need not stop anything. */
  onError: (reason: string) => void;
}

/** Twice as often as the manager waits for it (sd_watchdog_enabled(3)). */
const WATCHDOG_SHARE = 2;

/** Tells nobody where no service manager waits for it. */
export function createServiceNotifier({ native, env, onError }: ServiceNotifierOptions): ServiceNotifier {
  const address = take(env, 'NOTIFY_SOCKET');
  const watchdogMs = watchdogOf(take(env, 'WATCHDOG_USEC'), take(env, 'WATCHDOG_PID'));
  let timer: NodeJS.Timeout | undefined;
  let failed = false;

  const tell = (...lines: string[]): void => {
    if (address === undefined) return;
    try {
      native.notifyService(address, lines.join('\n'));
    } catch (error) {
      if (!failed) onError(reasonOf(error));
      failed = true;
    }
  };

  return {
    ready(status) {
      tell('READY=1', `STATUS=${status}`);
      if (watchdogMs !== undefined)
        timer ??= setInterval(() => tell('WATCHDOG=1'), watchdogMs / WATCHDOG_SHARE).unref();
    },
    stopping() {
      clearInterval(timer);
      tell('STOPPING=1');
    },
  };
}

/** Undefined: it has not asked, or not this process. */
function watchdogOf(micros: string | undefined, pid: string | undefined): number | undefined {
  if (pid !== undefined && Number(pid) !== process.pid) return undefined;
  const ms = Number(micros ?? 0) / 1000;
  return ms > 0 && Number.isFinite(ms) ? ms : undefined;
}

function take(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  delete env[name];
  return value === '' ? undefined : value;
}
