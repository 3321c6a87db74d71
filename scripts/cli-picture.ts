/**
 * Takes the README's picture of the commands, docs/images/commands.png: what they print on a terminal while the demo plays its
 * recording. Needs a build, and Debian's packages chromium and pngquant; fonts-jetbrains-mono makes it look as on most screens.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const MAIN = 'dist/main.js';
const PICTURE = 'docs/images/commands.png';
const COLUMNS = 124;
/** What is typed into the terminal. */
const COMMANDS = [
  'devices -o NAME,STATE,SIZE,OWNER,CONTAINER,USERNS,HIDDEN,BACK-FILE',
  'explain loop1',
  'top',
];
const PROMPT = '<b class="prompt">#</b> ';

/** Of select graphic rendition, what the commands use. */
const STYLES: Record<string, string> = {
  1: '<b>',
  22: '</b>',
  31: '<i class="red">',
  32: '<i class="green">',
  33: '<i class="yellow">',
  39: '</i>',
};

function htmlOf(text: string): string {
  const escaped = text.replace(/[&<>]/g, (each) => `&#${each.charCodeAt(0)};`);
  return escaped.replace(new RegExp(`${String.fromCharCode(27)}\\[(\\d+)m`, 'g'), (_, code: string) => {
    const style = STYLES[code];
    if (style === undefined) throw new Error(`no style for ${code}`);
    return style;
  });
}

const demo = spawn(process.execPath, [MAIN, 'demo', '--once'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  const config = await configOf();
  const run = (line: string, ...more: string[]): string =>
    execFileSync(process.execPath, [MAIN, ...line.split(' '), '--config', config, ...more], {
      encoding: 'utf8',
      env: { ...process.env, COLUMNS: String(COLUMNS) },
    });
  // The moment at which there is something of everything.
  while (!run('devices').includes('orphan')) await delay(100);
  const screens = COMMANDS.map(
    (line) => `${PROMPT}loopwarden ${line}\n${htmlOf(run(line, '--color', 'always')).trimEnd()}`,
  );
  await take(screens.join('\n\n'));
} finally {
  demo.kill('SIGTERM');
  await once(demo, 'exit');
}

async function configOf(): Promise<string> {
  for await (const line of createInterface({ input: demo.stdout })) {
    const path = /--config (\S+)/.exec(line)?.[1];
    if (path !== undefined) return path;
  }
  throw new Error('the demo has not begun');
}

async function take(screen: string): Promise<void> {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
    await page.setContent(`<style>
      body { margin: 0; background: transparent }
      pre { display: inline-block; margin: 0; padding: 24px 28px; border-radius: 10px; background: #15171c; color: #d5d8de;
        font: 15px/1.5 "JetBrains Mono", monospace; font-variant-ligatures: none }
      b { color: #fff } i { font-style: normal } .prompt { color: #7d8bff }
      .red { color: #ff7b72 } .green { color: #7ee787 } .yellow { color: #f2cc60 }
    </style><pre>${screen}</pre>`);
    const picture = await page.locator('pre').screenshot({ omitBackground: true });
    const squeezed = execFileSync('pngquant', ['--quality=70-98', '--speed=1', '--strip', '-'], {
      input: picture,
    });
    writeFileSync(PICTURE, squeezed);
    console.log(`${PICTURE}: ${squeezed.length} bytes`);
  } finally {
    await browser.close();
  }
}
