"""What an attacker of test/bypass has at hand: loop ioctls by number, and system calls that Python has no names for."""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import struct
import sys
import threading

LOOP_SET_FD = 0x4C00
LOOP_CLR_FD = 0x4C01
LOOP_SET_STATUS64 = 0x4C04
LOOP_GET_STATUS64 = 0x4C05
LOOP_CHANGE_FD = 0x4C06
LOOP_SET_CAPACITY = 0x4C07
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_ADD = 0x4C80
LOOP_CTL_REMOVE = 0x4C81

LO_FLAGS_READ_ONLY = 1
LO_FLAGS_AUTOCLEAR = 4
LO_FLAGS_PARTSCAN = 8

CLONE_FILES = 0x400
CLONE_NEWUSER = 0x10000000
CLONE_INTO_CGROUP = 0x200000000

SYS_UNSHARE = 272
SYS_SETNS = 308
SYS_USERFAULTFD = 323
SYS_CLONE3 = 435

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def system_call(number, *arguments):
    """Raises OSError with what the kernel said."""
    words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def say(value):
    """One line for the test, which reads it as JSON."""
    print(json.dumps(value), flush=True)


def wait_for_test():
    sys.stdin.readline()


def ioctl(descriptor, request, argument=0):
    """The result, or the errno's name. Other threads go on meanwhile."""
    if isinstance(argument, bytes):
        argument = bytearray(argument)
    try:
        return fcntl.ioctl(descriptor, request, argument)
    except OSError as error:
        return errno.errorcode[error.errno]


def ioctl_at(descriptor, request, address):
    """The same with memory that others can change during the call."""
    result = libc.ioctl(ctypes.c_int(descriptor), ctypes.c_ulong(request), ctypes.c_void_p(address))
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]


def loop_info(offset=0, sizelimit=0, flags=0, name=b""):
    """struct loop_info64 (linux/loop.h)."""
    return struct.pack("<QQQQQIIII64s64s32sQQ", 0, 0, 0, offset, sizelimit, 0, 0, 0, flags, name, b"", b"", 0, 0)


def loop_config(descriptor, **info):
    """struct loop_config (linux/loop.h); `info` as of loop_info."""
    return struct.pack("<II", descriptor, 0) + loop_info(**info) + bytes(64)


def add_device(number):
    """Makes a loop device; an open descriptor of it."""
    control = os.open("/dev/loop-control", os.O_RDWR)
    ioctl(control, LOOP_CTL_ADD, number)
    os.close(control)
    return os.open(f"/dev/loop{number}", os.O_RDWR)


def open_file(path):
    return os.open(path, os.O_RDWR)


def configure(device, descriptor, **info):
    """Attaches an open file to an open loop device."""
    return ioctl(device, LOOP_CONFIGURE, loop_config(descriptor, **info))


def backing_inode(device):
    """What the kernel says of the attached file, whatever anybody asked for."""
    return struct.unpack_from("<QQ", fcntl.ioctl(device, LOOP_GET_STATUS64, bytes(232)))[1]


def userns():
    """The number of the caller's user namespace, as the log has it."""
    return os.stat("/proc/self/ns/user").st_ino


def enter_new_userns():
    """As its root, who is nobody else outside."""
    uid, gid = os.geteuid(), os.getegid()
    system_call(SYS_UNSHARE, CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def enter_userns_of(pid):
    """Namespace of another process; as its root."""
    descriptor = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    system_call(SYS_SETNS, descriptor, CLONE_NEWUSER)
    os.close(descriptor)


def clone3(flags=0, pid=0, cgroup=0):
    """As fork(2); with `pid` as the child's number, in the cgroup whose folder is open as `cgroup`."""
    number = ctypes.c_int(pid)
    arguments = ctypes.create_string_buffer(
        struct.pack(
            "<11Q",
            *(flags | (CLONE_INTO_CGROUP if cgroup else 0), 0, 0, 0, 17, 0, 0, 0),
            *(ctypes.addressof(number) if pid else 0, 1 if pid else 0, cgroup),
        )
    )
    return system_call(SYS_CLONE3, ctypes.c_void_p(ctypes.addressof(arguments)), 88)


class HeldArgument:
    """
    Memory for the argument of an ioctl that the kernel must wait for in the middle of the call: its page is missing
    (userfaultfd). Made before a user namespace is entered, whose root may not have the kernel wait.
    """

    def __init__(self):
        self.held = False
        self._faults = system_call(SYS_USERFAULTFD, os.O_CLOEXEC)
        self.memory = mmap.mmap(-1, mmap.PAGESIZE)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self._request(0xC018AA3F, "QQQ", 0xAA, 0, 0)  # UFFDIO_API
        self._request(0xC020AA00, "QQQQ", self._address, mmap.PAGESIZE, 1, 0)  # UFFDIO_REGISTER, missing pages

    def _request(self, request, form, *words):
        fcntl.ioctl(self._faults, request, bytearray(struct.pack(form, *words)))

    def _answer(self, content):
        os.read(self._faults, 32)
        say("held")
        self.held = True
        wait_for_test()
        page = ctypes.create_string_buffer(content.ljust(mmap.PAGESIZE, bytes(1)))
        self._request(0xC028AA03, "QQQQq", self._address, ctypes.addressof(page), mmap.PAGESIZE, 0, 0)  # UFFDIO_COPY

    def ioctl(self, descriptor, request, content):
        """Says "held" in the middle of the call, which ends when the test says so."""
        thread = threading.Thread(target=self._answer, args=(content,), daemon=True)
        thread.start()
        result = ioctl_at(descriptor, request, self._address)
        thread.join()
        return result
