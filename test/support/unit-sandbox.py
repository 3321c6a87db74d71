"""Runs a command within the sandbox of a service unit, by the means that systemd takes for it, for machines whose pid 1 is none.

    unit-sandbox.py UNIT[,DROP_IN]... [WRITABLE_PATH]... -- COMMAND...

WRITABLE_PATH stands for the folders of a test, where the unit has LogsDirectory= and the like. A socket of the caller's network
namespace that listens on 127.0.0.1 is passed as by a socket unit. A setting that is in neither of the two tables below is refused: whoever
adds one to the unit decides whether a test should know it.
"""

import ctypes
import os
import re
import socket
import stat
import struct
import subprocess
import sys

# What does not limit the process, or is measured only (systemd-analyze security), or is what nothing of the agent comes near.
NOT_IMITATED = """
Type NotifyAccess ExecStartPre ExecStart ExecReload Restart RestartSec WatchdogSec Nice OOMScoreAdjust LimitNOFILE LimitMEMLOCK UMask
LogsDirectory LogsDirectoryMode StateDirectory StateDirectoryMode PrivateTmp PrivateMounts ProtectKernelModules ProtectKernelLogs
ProtectClock ProtectHostname DeviceAllow IPAddressDeny RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality KeyringMode
SystemCallArchitectures SystemCallErrorNumber
""".split()
IMITATED = """
CapabilityBoundingSet NoNewPrivileges ProtectSystem ReadWritePaths ProtectHome ProtectKernelTunables ProtectControlGroups ProtectProc
ProcSubset PrivateDevices BindPaths PrivateNetwork RestrictAddressFamilies SystemCallFilter
""".split()

CLONE_NEWNS, CLONE_NEWNET = 0x20000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
SYS_SECCOMP, SYS_SOCKET = 317, 41
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
AUDIT_ARCH_X86_64 = 0xC000003E
SECCOMP_ALLOW, SECCOMP_ERRNO = 0x7FFF0000, 0x00050000
EPERM, EAFNOSUPPORT = 1, 97
DEVICES = ["null", "zero", "full", "random", "urandom", "tty"]

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        raise OSError(ctypes.get_errno(), what)


def mount(source, target, kind, flags, data=None):
    words = [None if word is None else word.encode() for word in (source, target, kind, data)]
    check(libc.mount(words[0], words[1], words[2], flags, words[3]), f"mount {target}")


def set_read_only(path, read_only):
    # The same numbers as those of mount(2).
    kept = os.statvfs(path).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount(None, path, None, MS_REMOUNT | MS_BIND | kept | (MS_RDONLY if read_only else 0))


def mount_points():
    # The last one on a point is the one that is seen.
    points = {line.split()[4] for line in open("/proc/self/mountinfo")}
    return sorted(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point) for point in points)


def read_unit(paths):
    settings = {}
    section = ""
    for line in (line for path in paths.split(",") for line in open(path)):
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            key, value = line.split("=", 1)
            settings.setdefault(key, []).append(value)
    unknown = [key for key in settings if key not in IMITATED and key not in NOT_IMITATED]
    if unknown:
        sys.exit(f"{paths}: neither imitated nor left out: {', '.join(unknown)}")
    # Which values are meant below.
    for key, value in {
        "ProtectSystem": "strict", "ProtectHome": "yes", "ProtectProc": "invisible", "ProcSubset": "pid", "PrivateDevices": "yes",
        "ProtectKernelTunables": "yes", "ProtectControlGroups": "yes", "NoNewPrivileges": "yes",
    }.items():
        if settings.get(key) != [value]:
            sys.exit(f"{paths}: {key}={settings.get(key)} is not what this imitates")
    return settings


def words_of(settings, key):
    return [word for value in settings.get(key, []) for word in value.split()]


def listen():
    listener = socket.create_server(("127.0.0.1", 0)).detach()
    if listener != 3:
        os.dup2(listener, 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))


def make_devices(bound):
    numbers = {path: os.stat(path).st_rdev for path in [f"/dev/{name}" for name in DEVICES] + bound}
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for path, number in numbers.items():
        os.mknod(path, stat.S_IFCHR | 0o600, number)


def enter_mounts(settings, writable):
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    given = words_of(settings, "ReadWritePaths")
    for path in given:
        if not path.startswith("-") and not os.path.exists(path) and not path.startswith("/run/"):
            sys.exit(f"ReadWritePaths={path} is not there")
    paths = [path.lstrip("-") for path in given if os.path.exists(path.lstrip("-"))] + writable
    for path in paths:
        mount(path, path, None, MS_BIND)
    # Not what other mounts hide.
    for point in filter(os.path.exists, mount_points()):
        if not any(point == path or point.startswith(f"{path}/") for path in paths):
            set_read_only(point, True)
    make_devices(words_of(settings, "BindPaths"))
    for home in filter(os.path.isdir, ("/home", "/root", "/run/user")):
        mount("tmpfs", home, "tmpfs", MS_RDONLY, "mode=000")
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible,subset=pid")


def limit_capabilities(settings):
    names = re.findall(r"#define (CAP_\w+)\s+(\d+)$", open("/usr/include/linux/capability.h").read(), re.M)
    kept = {number for name, number in names if name in words_of(settings, "CapabilityBoundingSet")}
    for number in range(64):
        if str(number) not in kept and libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0:
            break


def system_call_groups():
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout
    groups = {}
    for line in text.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())
    return groups


def expand(groups, word):
    return {each for part in groups[word] for each in expand(groups, part)} if word in groups else {word}


def allowed_calls(settings):
    groups = system_call_groups()
    allowed = expand(groups, "@default")
    for value in settings["SystemCallFilter"]:
        calls = {each for word in value.lstrip("~").split() for each in expand(groups, word)}
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    header = open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read()
    return sorted(int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header) if name in allowed)


def install_filter(instructions):
    packed = b"".join(struct.pack("=HBBI", *each) for each in instructions)
    code = ctypes.create_string_buffer(packed, len(packed))
    program = struct.pack("=HxxxxxxQ", len(instructions), ctypes.addressof(code))
    check(libc.syscall(SYS_SECCOMP, 1, 0, program), "seccomp")


def filter_calls(settings, allowed):
    load, equal, result = 0x20, 0x15, 0x06
    families = [{"AF_UNIX": 1, "AF_NETLINK": 16}[word] for word in words_of(settings, "RestrictAddressFamilies")]
    other_family = [(load, 0, 0, 0), (equal, 0, len(families) + 2, SYS_SOCKET), (load, 0, 0, 16)]
    for at, family in enumerate(families):
        other_family.append((equal, len(families) - at, 0, family))
    install_filter(other_family + [(result, 0, 0, SECCOMP_ERRNO | EAFNOSUPPORT), (result, 0, 0, SECCOMP_ALLOW)])
    calls = [(load, 0, 0, 4), (equal, 1, 0, AUDIT_ARCH_X86_64), (result, 0, 0, SECCOMP_ERRNO | EPERM), (load, 0, 0, 0)]
    for number in allowed:
        calls += [(equal, 0, 1, number), (result, 0, 0, SECCOMP_ALLOW)]
    install_filter(calls + [(result, 0, 0, SECCOMP_ERRNO | EPERM)])


def main():
    unit, *rest = sys.argv[1:]
    at = rest.index("--")
    writable, command = rest[:at], rest[at + 1 :]
    settings = read_unit(unit)
    listen()
    private_network = settings.get("PrivateNetwork") == ["yes"]
    # Beforehand: Python's own library may be in a home.
    allowed = allowed_calls(settings)
    check(libc.unshare(CLONE_NEWNS | (CLONE_NEWNET if private_network else 0)), "unshare")
    enter_mounts(settings, writable)
    limit_capabilities(settings)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    filter_calls(settings, allowed)
    os.execvp(command[0], command)


main()
