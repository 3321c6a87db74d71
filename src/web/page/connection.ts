/**
 * The stream of events, and whether it is there: it comes back by itself, and goes on where it was.
 *
 * The browser's own reconnection gives up at an answer that is no stream (a proxy's 502), so this one does it.
 */

export type ConnectionState = 'connecting' | 'live' | 'lost';

/** Why lines are missing; `lost` is null where nobody knows how many. */
export interface Gap {
  lost: number | null;
  reason: string;
}

export interface ConnectionHandlers {
  onLine: (text: string, id: string) => void;
  onGap: (gap: Gap) => void;
  onState: (state: ConnectionState) => void;
}

/** The server says something every ten seconds. */
const SILENCE_MS = 25_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

export function connect(path: string, { onLine, onGap, onState }: ConnectionHandlers): void {
  let lastId = '';
  let waitMs = FIRST_WAIT_MS;
  let silence = 0;

  const open = (): void => {
    const source = new EventSource(lastId === '' ? path : `${path}?after=${encodeURIComponent(lastId)}`);
    const fail = (): void => {
      window.clearTimeout(silence);
      source.close();
      onState('lost');
      window.setTimeout(open, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    };
    const heard = (): void => {
      window.clearTimeout(silence);
      silence = window.setTimeout(fail, SILENCE_MS);
    };
    source.onopen = () => {
      waitMs = FIRST_WAIT_MS;
      heard();
      onState('live');
    };
    source.onerror = fail;
    source.addEventListener('beat', heard);
    source.onmessage = ({ data, lastEventId }: MessageEvent<string>) => {
      heard();
      lastId = lastEventId;
      onLine(data, lastEventId);
    };
    source.addEventListener('gap', (event) => {
      const { data, lastEventId } = event as MessageEvent<string>;
      heard();
      lastId = lastEventId;
      onGap(JSON.parse(data) as Gap);
    });
  };
  onState('connecting');
  open();
}
