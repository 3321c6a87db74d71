/** Reads a recording, which is a file from somewhere like any other: bounded, checked line by line. */
import { readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type * as z from 'zod';
import { createError, reasonOf } from '../errors.js';
import { LAYOUT_HASH } from '../kernel/abi.js';
import { PACKAGE_ROOT } from '../kernel/paths.js';
import { type Frame, frameSchema, type Header, headerSchema, type Recording } from './frame.js';

/** The one that comes with loopwarden. */
export const OWN_RECORDING = `${PACKAGE_ROOT}dist/demo/recording.ndjson.gz`;

const MAX_FILE_BYTES = 16 << 20;
const MAX_TEXT_BYTES = 128 << 20;
const MAX_FRAMES = 100_000;

/** @throws ERR_RECORDING */
export function readRecording(path: string): Recording {
  const [first, ...lines] = linesOf(path);
  const refuse = (line: number, reason: string): never => {
    throw createError('ERR_RECORDING', { path, reason }, { where: `line ${line}` });
  };
  const parse = <T>(schema: z.ZodType<T>, text: string, line: number): T => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return refuse(line, 'it is no JSON');
    }
    const { success, data, error } = schema.safeParse(value);
    if (success) return data;
    const { path: at, message } = error.issues[0] ?? { path: [], message: '' };
    return refuse(line, `${at.join('.') || 'the line'}: ${message}`);
  };

  if (first === undefined || lines.length === 0) return refuse(1, 'nothing is recorded in it');
  if (lines.length > MAX_FRAMES) return refuse(MAX_FRAMES + 2, `it has more than ${MAX_FRAMES} frames`);
  const header: Header = parse(headerSchema, first, 1);
  const layout = layoutText();
  if (header.layout !== layout)
    return refuse(1, `its records have the layout ${header.layout}, this build reads ${layout}`);
  const frames = lines.map((line, at): Frame => parse(frameSchema, line, at + 2));
  const back = frames.findIndex(({ atNs }, at) => at > 0 && atNs < (frames[at - 1]?.atNs ?? 0n));
  if (back !== -1) return refuse(back + 2, 'its time goes back');
  const unknown = frames.findIndex(({ maps = {} }) =>
    Object.keys(maps).some((name) => header.maps[name] === undefined),
  );
  if (unknown !== -1) return refuse(unknown + 2, 'it has a map that the header does not know');
  return { header, frames };
}

/** As the header has it. */
export function layoutText(): string {
  return LAYOUT_HASH.toString(16).padStart(16, '0');
}

function linesOf(path: string): string[] {
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`);
    const text = gunzipSync(readFileSync(path), { maxOutputLength: MAX_TEXT_BYTES }).toString('utf8');
    return text.split('\n').filter(Boolean);
  } catch (error) {
    throw createError('ERR_RECORDING', { path, reason: reasonOf(error) }, { cause: error });
  }
}
