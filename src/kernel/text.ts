/** Reads of the parts of a record that are not single integers. Used by the generated decoder. */

/** A byte order mark stays: without it one name could pass for another. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The bytes up to the first NUL, as UTF-8; what is not valid becomes U+FFFD. At most `length` bytes. */
export function readText(view: DataView, at: number, length: number): string {
  let text = '';
  for (let index = 0; index < length; index++) {
    const byte = view.getUint8(at + index);
    if (byte === 0) return text;
    if (byte >= 0x80) return decodeText(view, at, length);
    text += String.fromCharCode(byte);
  }
  return text;
}

function decodeText(view: DataView, at: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length);
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** `length` consecutive 64-bit words. */
export function readWords(view: DataView, at: number, length: number): bigint[] {
  return Array.from({ length }, (_, index) => view.getBigUint64(at + index * 8, true));
}
