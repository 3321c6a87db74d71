/** Debian's Chromium, and the live page's own server with the state of a fixture. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import {
  type PublicServer,
  type PublicServerOptions,
  startPublicServer,
} from '../../src/web/public-server.js';
import type { PageFixture } from '../page-fixture.js';
import { defer } from './defer.js';

/** One for a file: its start is what takes long. Call `close` after the tests. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
}

export async function servePage(
  t: TestContext,
  fixture: PageFixture,
  more: Partial<PublicServerOptions> = {},
): Promise<PublicServer> {
  const server = await startPublicServer({
    address: '127.0.0.1',
    port: 0,
    page: fixture.page,
    health: { unhealthyReasons: () => [], unreadyReasons: () => fixture.unready },
    metrics: { contentType: 'text/plain', renderMetrics: async () => 'metric 1\n' },
    onError: (error) => assert.fail(String(error)),
    ...more,
  });
  defer(t, async () => {
    fixture.page.close();
    await server.close();
  });
  return server;
}

/** The page, open and live. It must neither log, throw, nor ask anybody else for anything. */
export async function openPage(
  t: TestContext,
  browser: Browser,
  url: string,
  { path = '/', quiet = true, ...options }: BrowserContextOptions & { path?: string; quiet?: boolean } = {},
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1600, height: 1000 },
    reducedMotion: 'reduce',
    ...options,
  });
  const page = await context.newPage();
  const said: string[] = [];
  const asked: string[] = [];
  page.on('console', (message) => said.push(message.text()));
  page.on('pageerror', (error) => said.push(String(error)));
  page.on('request', (request) => asked.push(request.url()));
  defer(t, async () => {
    await context.close();
    if (quiet) assert.deepEqual(said, []);
    assert.deepEqual(
      asked.filter((each) => !each.startsWith(`${url}/`)),
      [],
    );
  });
  page.setDefaultTimeout(15_000);
  await page.goto(url + path);
  await page.waitForSelector('.connection[data-state="live"]');
  return page;
}
