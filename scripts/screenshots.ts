/**
 * Takes the README's pictures of the live page, from its real server with the state of test/page-fixture.ts, into docs/images:
 * the desktop in light and dark, a device's life, a phone. Needs Debian's packages
 * chromium and pngquant; fonts-inter and fonts-jetbrains-mono make it look as on most screens.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { startPublicServer } from '../src/web/public-server.js';
import { pageFixture, tellStory } from '../test/page-fixture.js';

const FOLDER = process.argv[2] ?? 'docs/images';
const MOST_BYTES = 150_000;

interface Picture {
  name: string;
  size: { width: number; height: number };
  scheme: 'light' | 'dark';
  open?: string;
  fullPage?: boolean;
}

const DESKTOP = { width: 1600, height: 1000 };
const PICTURES: Picture[] = [
  { name: 'page-light', size: DESKTOP, scheme: 'light' },
  { name: 'page-dark', size: DESKTOP, scheme: 'dark', open: 'loop13' },
  ...(process.env.FULL
    ? [
        { name: 'full', size: DESKTOP, scheme: 'light', fullPage: true } as Picture,
        { name: 'tablet', size: { width: 1000, height: 1000 }, scheme: 'dark', fullPage: true } as Picture,
        { name: 'phone-full', size: { width: 390, height: 844 }, scheme: 'light', fullPage: true } as Picture,
      ]
    : []),
  { name: 'page-phone', size: { width: 390, height: 844 }, scheme: 'light' },
  { name: 'page-phone-device', size: { width: 390, height: 844 }, scheme: 'dark', open: 'loop13' },
];

const fixture = pageFixture({ startedAt: new Date(Date.now() - 26 * 3_600_000).toISOString() });
tellStory(fixture);
const server = await startPublicServer({
  address: '127.0.0.1',
  port: 0,
  page: fixture.page,
  health: { unhealthyReasons: () => [], unreadyReasons: () => [] },
  metrics: { contentType: 'text/plain', renderMetrics: async () => '' },
  onError: (error) => console.error(error),
});
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu'],
});
mkdirSync(FOLDER, { recursive: true });
try {
  for (const picture of PICTURES) await take(picture);
} finally {
  await browser.close();
  fixture.page.close();
  await server.close();
}

async function take({ name, size, scheme, open, fullPage = false }: Picture): Promise<void> {
  const page = await browser.newPage({ viewport: size, colorScheme: scheme, reducedMotion: 'reduce' });
  page.on('console', (message) => console.error(message.text()));
  page.on('pageerror', (error) => console.error(error));
  await page.goto(open === undefined ? server.url : `${server.url}/#/${open}`);
  await page.waitForSelector('.connection[data-state="live"]');
  await page.waitForSelector('#delivery-chart canvas');
  await page.waitForSelector('#devices tbody tr:nth-child(9)');
  // In its place is the life of the device that is open.
  if (open === undefined) await page.waitForSelector('#events tbody tr:nth-child(9)', { state: 'attached' });
  await page.evaluate('document.fonts.ready.then(() => document.activeElement.blur())');
  const picture = squeeze(await page.screenshot({ fullPage }));
  await page.close();
  const path = `${FOLDER}/${name}.png`;
  writeFileSync(path, picture);
  console.log(`${path}: ${statSync(path).size} bytes`);
  if (picture.length > MOST_BYTES) throw new Error(`${path} is larger than ${MOST_BYTES} bytes`);
}

/** With a palette: a page has few colours. */
function squeeze(png: Buffer): Buffer {
  return execFileSync('pngquant', ['--quality=70-98', '--speed=1', '--strip', '-'], { input: png });
}
