/** The live page: asks the agent, hears its events, and hands both to the panes. */
import type { DeviceRow, RateRow, StatusView } from '../page-views.js';
import { showAgent } from './agent-pane.js';
import { createChart } from './chart.js';
import { connect } from './connection.js';
import { createDeviceDetail } from './device-detail.js';
import { createDevicePane } from './device-pane.js';
import { find, make, setText } from './dom.js';
import { createEventLog } from './event-log.js';
import { createEventPane } from './event-pane.js';
import { createFigures } from './figures.js';
import { poll } from './poll.js';
import { createRateLog } from './rates.js';
import { plain, shortTime } from './text.js';
import { applyTheme, createThemeButton } from './theme.js';

// The script is in the head: the colours are set before the first paint.
applyTheme();
document.addEventListener('DOMContentLoaded', start);

const MODES: Record<string, string> = {
  hide: 'filter on',
  observe: 'filter only observes',
  off: 'filter off',
};
const WORDS = { connecting: 'connecting', live: 'live', lost: 'no connection' };

function start(): void {
  const log = createEventLog();
  const figures = createFigures();
  const ioctls = createChart({
    id: 'ioctl-chart',
    title: 'Loop ioctls',
    names: ['done', 'failed'],
    empty: 'The chart begins with the agent’s second sample, in a few seconds.',
    bad: true,
  });
  const deliveries = createChart({
    id: 'delivery-chart',
    title: 'Uevents of loop devices',
    names: ['hidden', 'delivered'],
    empty: 'Here will be how many uevents are hidden from the host’s listeners, and how many delivered.',
  });
  createThemeButton(() => {
    ioctls.restyle();
    deliveries.restyle();
  });

  const pane = createDevicePane(open);
  const events = createEventPane(log, open);
  const detail = createDeviceDetail(log, close);
  let rateLog = createRateLog(5000);
  let startedAt = '';
  let failedAtMs = 0;

  const devicePoll = poll<DeviceRow[]>({
    path: () => '/api/v1/devices',
    everyMs: 10_000,
    leastMs: 1000,
    onFail,
    onView(devices) {
      pane.show(devices);
      figures.showDevices(devices);
      detail.update(new Map(devices.map((device) => [device.name, device])));
    },
  });
  const statusPoll = poll<StatusView>({
    path: () => '/api/v1/status',
    everyMs: 5000,
    leastMs: 1000,
    onFail,
    onView(status) {
      if (startedAt === '') rateLog = createRateLog(status.sampleMs);
      else if (startedAt !== status.startedAt) rateLog.restart();
      const isNew = startedAt !== status.startedAt;
      startedAt = status.startedAt;
      if (isNew) ratePoll.hurry();
      figures.showStatus(status);
      showAgent(status);
      setText(find('host'), plain(status.host, 64));
      setText(find('mode'), MODES[status.filterMode] ?? plain(status.filterMode, 16));
      find('mode').dataset.mode = status.filterMode;
      document.title = `${plain(status.host, 64)} – loopwarden`;
      failedAtMs = 0;
      notify(status.unready.map((reason) => `Not as configured: ${plain(reason, 300)}`));
    },
  });
  const ratePoll = poll<RateRow[]>({
    path: () => `/api/v1/rates?after=${rateLog.newest()}`,
    everyMs: 5000,
    leastMs: 1000,
    onFail: () => {},
    onView(rows) {
      if (startedAt === '') return;
      rateLog.add(rows);
      const rates = rateLog.rates();
      ioctls.show(rates.times, rates.ok, rates.failed);
      deliveries.show(rates.times, rates.hidden, rates.delivered);
      figures.showRate(rates.events.at(-1) ?? null);
    },
  });

  connect('/api/v1/events', {
    onLine(text) {
      const logged = log.add(text);
      events.update();
      detail.update(undefined);
      // What has happened to a device is in the table a moment later.
      if (logged?.line.device && logged.line.kind !== 'uevent') devicePoll.hurry();
    },
    onGap(gap) {
      log.addGap(gap);
      events.update();
      devicePoll.hurry();
    },
    onState(state) {
      const element = find('connection');
      element.dataset.state = state;
      setText(element, WORDS[state]);
      if (state !== 'live') return;
      statusPoll.hurry();
      devicePoll.hurry();
      ratePoll.hurry();
    },
  });

  addEventListener('hashchange', follow);
  follow();

  function open(name: string): void {
    location.hash = `#/${encodeURIComponent(name)}`;
  }

  function close(name: string): void {
    history.pushState(null, '', location.pathname);
    follow();
    pane.focus(name);
  }

  /** The address says which device is open, so that it can be sent to somebody. */
  function follow(): void {
    const name = nameIn(location.hash);
    pane.select(name);
    detail.open(name);
    detail.update(undefined);
    if (name !== undefined) devicePoll.hurry();
  }

  function onFail(status: number): void {
    failedAtMs ||= Date.now();
    const since = shortTime(failedAtMs);
    const what =
      status === 401
        ? 'The agent asks for user and password: reload the page.'
        : status === 0
          ? `No answer from the agent since ${since}. What is shown is as of then; trying again.`
          : `The agent answers ${status} since ${since}; trying again.`;
    notify([what]);
  }
}

function nameIn(hash: string): string | undefined {
  if (!hash.startsWith('#/')) return undefined;
  try {
    return decodeURIComponent(hash.slice(2)).slice(0, 64) || undefined;
  } catch {
    return undefined;
  }
}

function notify(texts: readonly string[]): void {
  const element = find('notices');
  if (element.textContent === texts.join('')) return;
  element.replaceChildren(...texts.map((text) => make('p', 'notice', text)));
}
