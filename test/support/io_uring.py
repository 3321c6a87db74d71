"""One request after the other through an io_uring of the caller's own (linux/io_uring.h), each done by a kernel worker."""

import ctypes
import mmap
import os
import struct

from attacker import system_call

SYS_IO_URING_SETUP, SYS_IO_URING_ENTER, SYS_IO_URING_REGISTER = 425, 426, 427
IORING_OP_OPENAT, IORING_OP_RECV, IORING_OP_SOCKET, IORING_OP_URING_CMD = 18, 27, 45, 46
IORING_OP_FIXED_FD_INSTALL, IORING_OP_BIND = 54, 56
IORING_SETUP_SQE128 = 1 << 10
IORING_REGISTER_FILES = 2
IOSQE_FIXED_FILE, IOSQE_ASYNC = 1, 16


class Ring:
    def __init__(self, wide=False):
        """`wide`: for commands of more than 16 bytes."""
        parameters = ctypes.create_string_buffer(120)
        struct.pack_into("<I", parameters, 8, IORING_SETUP_SQE128 if wide else 0)
        self.descriptor = system_call(SYS_IO_URING_SETUP, 4, ctypes.c_void_p(ctypes.addressof(parameters)))
        words = struct.unpack("<30I", parameters.raw)
        # struct io_sqring_offsets and io_cqring_offsets: head, tail, ..., array; head, tail, ..., cqes.
        self._sq_tail, self._sq_array = words[11], words[16]
        self._cq_head, self._cq_entries = words[20], words[25]
        self._rings = mmap.mmap(self.descriptor, max(self._cq_entries + 16 * words[1], self._sq_array + 4 * words[0]))
        self._entries = mmap.mmap(self.descriptor, (128 if wide else 64) * words[0], offset=0x10000000)
        self._done = 0

    def request(self, operation, descriptor=-1, address=0, length=0, offset=0, flags=IOSQE_ASYNC, more=0, file_index=0):
        """Its result; negative: the errno. `more`: the flags of the operation itself."""
        entry = struct.pack(
            "<BBHiQQIIQHHI", operation, flags, 0, descriptor, offset, address, length, more, 7, 0, 0, file_index
        )
        return self._submit(entry)

    def command(self, descriptor, operation, payload, wait=True):
        """Of the driver's own. Its result, as of request(); not waited for: None, and then nothing else can be asked of this ring."""
        entry = struct.pack("<BBHiQ32x", IORING_OP_URING_CMD, 0, 0, descriptor, operation) + payload
        return self._submit(entry, wait)

    def _submit(self, entry, wait=True):
        self._entries[: len(entry)] = entry
        struct.pack_into("<I", self._rings, self._sq_array + 4 * (self._done & 3), 0)
        self._done += 1
        struct.pack_into("<I", self._rings, self._sq_tail, self._done)
        system_call(SYS_IO_URING_ENTER, self.descriptor, 1, int(wait), int(wait), 0, 0)
        if not wait:
            return None
        slot = self._cq_entries + 16 * ((self._done - 1) % 8)
        struct.pack_into("<I", self._rings, self._cq_head, self._done)
        return struct.unpack_from("<Qi", self._rings, slot)[1]

    def open(self, path):
        name = ctypes.create_string_buffer(os.fsencode(path))
        return self.request(IORING_OP_OPENAT, -100, ctypes.addressof(name), 0, more=os.O_RDWR)

    def register(self, *descriptors):
        array = (ctypes.c_int * len(descriptors))(*descriptors)
        address = ctypes.c_void_p(ctypes.addressof(array))
        system_call(SYS_IO_URING_REGISTER, self.descriptor, IORING_REGISTER_FILES, address, len(descriptors))

    def install(self, index):
        """A descriptor of a registered file (since Linux 6.8)."""
        return self.request(IORING_OP_FIXED_FD_INSTALL, index, flags=IOSQE_FIXED_FILE)
