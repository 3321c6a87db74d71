"""Runs a command with this chroot as the root of a mount namespace of its own: leave-chroot.py COMMAND...

The kernel makes no user namespace for a process in a chroot (create_user_ns, current_chrooted), and the tests need some.
Mounts that the command makes end with it; those of the host go on appearing.
"""
import ctypes
import os
import sys

CLONE_NEWNS = 0x20000
MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 1 << 12, 1 << 13, 1 << 14, 1 << 19

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *values):
    if getattr(libc, name)(*values) != 0:
        errno = ctypes.get_errno()
        sys.exit(f"leave-chroot: {name}: {os.strerror(errno)}")


folder = os.getcwd()
call("unshare", CLONE_NEWNS)
# Opened in the new namespace, whose copy of the mount it is.
chroot = os.open("/", os.O_PATH)
# Entering a mount namespace, even one's own, sets the root to that of the namespace.
call("setns", os.open("/proc/self/ns/mnt", os.O_RDONLY), CLONE_NEWNS)
os.fchdir(chroot)
path = os.getcwd().encode()
call("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
call("mount", path, path, None, MS_BIND | MS_REC, None)
os.chdir(path)
call("mount", b".", b"/", None, MS_MOVE, None)
os.chroot(".")
os.chdir(folder)
os.execvp(sys.argv[1], sys.argv[1:])
