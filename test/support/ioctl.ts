/** Loop ioctls by number, without losetup's own ways. */

export const LOOP_SET_FD = 0x4c00;
export const LOOP_CLR_FD = 0x4c01;
export const LOOP_GET_STATUS64 = 0x4c05;
export const LOOP_SET_CAPACITY = 0x4c07;
export const LOOP_CTL_ADD = 0x4c80;
export const LOOP_CTL_REMOVE = 0x4c81;
export const LOOP_CTL_GET_FREE = 0x4c82;

/**
 * A shell command that makes these calls, one after the other, on one descriptor of `path`, and prints for each the result
 * or the errno's name. The argument is a number, or text: a buffer of zeros of that many bytes (`buffer:304`), or a
 * descriptor of a file (`fd:/path`).
 */
export function ioctls(path: string, calls: readonly (readonly [number, number | string])[]): string {
  const script = `
import errno, fcntl, json, os, sys
device = os.open(sys.argv[1], os.O_RDWR)
def argument(value):
    if isinstance(value, str) and value.startswith("buffer:"): return bytearray(int(value[7:]))
    if isinstance(value, str): return os.open(value[3:], os.O_RDWR)
    return value
for request, value in json.loads(sys.argv[2]):
    try: print(fcntl.ioctl(device, request, argument(value)))
    except OSError as error: print(errno.errorcode[error.errno])
`;
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return `python3 -c ${quoted(script)} ${quoted(path)} ${quoted(JSON.stringify(calls))}`;
}
