/** The contract of handing an image over (docs/loopfs.md), from outside of our own code. */

const PRELUDE = `
import array, errno, fcntl, os, socket, struct, sys, threading
control = os.open("/dev/loopfs/loop-control", os.O_RDWR)
READ_ONLY, PARTSCAN = 1, 8
def packet(flags=0, block_size=0, offset=0, size_limit=0):
    return struct.pack("IIQQ", flags, block_size, offset, size_limit)
def pair(kind=socket.SOCK_SEQPACKET):
    return socket.socketpair(socket.AF_UNIX, kind)
def send(ours, fds, data):
    ours.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
def ask(fd):
    try: return fcntl.ioctl(control, 0x4cc1, fd)
    except OSError as error: return errno.errorcode[error.errno]
def receive(ours):
    data, control_data, _, _ = ours.recvmsg(16, 64, socket.MSG_DONTWAIT)
    return struct.unpack("I", data)[0], array.array("i", control_data[0][2])[0]
def attach(fds, data=packet(), kind=socket.SOCK_SEQPACKET):
    ours, theirs = pair(kind)
    send(ours, fds, data)
    result = ask(theirs.fileno())
    if isinstance(result, str): return result
    number, fd = receive(ours)
    assert number == result
    return number, fd
`;

/** A shell command: a Python script with these words as sys.argv[1:], and `attach`, `ask`, `pair`, `send` at hand. */
export function attachClient(script: string, ...words: string[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  return ['python3', '-c', quoted(PRELUDE + script), ...words.map(quoted)].join(' ');
}
