/** A process that writes an audit log without end, to be killed: its argument is the config of the log as JSON. */
import { setTimeout } from 'node:timers/promises';
import { lineOf, openSink } from './audit-sink.js';

const log = await openSink(JSON.parse(process.argv[2] ?? ''), { batchLines: 30 });
let seq = 0;
for (;;) {
  for (let count = 0; count < 25; count++) log.write(lineOf(++seq, 'x'.repeat(seq % 500)), seq % 10 === 0);
  await log.flush();
  process.stdout.write(`${seq}\n`);
  await setTimeout(1);
}
