/** Turns the bytes of a ring batch into events. */
import {
  EVENT_HEADER_SIZE,
  EVENT_KIND,
  type EventHeader,
  IOCTL_EVENT_SIZE,
  IOCTL_PATH_EVENT_PATH_LENGTH,
  IOCTL_PATH_EVENT_PATH_OFFSET,
  IOCTL_PATH_EVENT_SIZE,
  type IoctlEvent,
  readEventHeader,
  readIoctlEvent,
  readUeventEvent,
  UEVENT_EVENT_SIZE,
  type UeventEvent,
} from '../kernel/abi.js';

export type LoopEvent =
  | { kind: 'ioctl'; record: IoctlEvent; backingPath: string | undefined }
  | { kind: 'uevent'; record: UeventEvent };

export interface DecodedBatch {
  events: LoopEvent[];
  /** Records that no layout of ours explains. */
  malformed: number;
}

/** Each record of a batch is preceded by its length (u32) and a u32 of padding, and padded to 8 bytes. */
const PREFIX = 8;
/** A byte order mark stays: without it one name could pass for another. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Never throws: bytes that are no record count as malformed, and end the batch if not even their length holds. */
export function decodeBatch(batch: Uint8Array): DecodedBatch {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const events: LoopEvent[] = [];
  let malformed = 0;
  let at = 0;
  while (at + PREFIX <= batch.byteLength) {
    const length = view.getUint32(at, true);
    const start = at + PREFIX;
    if (start + length > batch.byteLength) return { events, malformed: malformed + 1 };
    const event = decodeRecord(view, start, length);
    if (event === undefined) malformed++;
    else events.push(event);
    at = start + Math.ceil(length / 8) * 8;
  }
  return { events, malformed: malformed + (at < batch.byteLength ? 1 : 0) };
}

/** The headers alone, which every layout shares. Stops at bytes that are no record. */
export function headersOf(batch: Uint8Array): EventHeader[] {
  const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
  const headers: EventHeader[] = [];
  for (let at = 0; at + PREFIX + EVENT_HEADER_SIZE <= batch.byteLength; ) {
    headers.push(readEventHeader(view, at + PREFIX));
    at += PREFIX + Math.ceil(view.getUint32(at, true) / 8) * 8;
  }
  return headers;
}

function decodeRecord(view: DataView, at: number, length: number): LoopEvent | undefined {
  if (length < EVENT_HEADER_SIZE || view.getUint16(at + 2, true) !== length) return undefined;
  switch (view.getUint16(at, true)) {
    case EVENT_KIND.IOCTL:
      return decodeIoctl(view, at, length);
    case EVENT_KIND.UEVENT:
      return length === UEVENT_EVENT_SIZE ? { kind: 'uevent', record: readUeventEvent(view, at) } : undefined;
    default:
      return undefined;
  }
}

function decodeIoctl(view: DataView, at: number, length: number): LoopEvent | undefined {
  if (length !== IOCTL_EVENT_SIZE && length !== IOCTL_PATH_EVENT_SIZE) return undefined;
  const record = readIoctlEvent(view, at);
  const { pathLength } = record;
  const room = length === IOCTL_PATH_EVENT_SIZE ? IOCTL_PATH_EVENT_PATH_LENGTH : 0;
  if (pathLength > room) return undefined;
  return { kind: 'ioctl', record, backingPath: pathLength > 0 ? readPath(view, at, record) : undefined };
}

/** The path is at the end of its field: it was built from the last component to the first. */
function readPath(view: DataView, at: number, { pathLength, pathTruncated }: IoctlEvent): string {
  const end = at + IOCTL_PATH_EVENT_PATH_OFFSET + IOCTL_PATH_EVENT_PATH_LENGTH;
  const path = decoder.decode(new Uint8Array(view.buffer, view.byteOffset + end - pathLength, pathLength));
  return pathTruncated ? `…${path}` : path;
}
