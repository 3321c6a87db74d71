// SPDX-License-Identifier: Apache-2.0
#include "uevent_socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

namespace loopwarden
{
namespace
{

int IntegerOption(int socket, int option, int &value)
{
	socklen_t size = sizeof(value);
	return getsockopt(socket, SOL_SOCKET, option, &value, &size) ? errno : 0;
}

} // namespace

int TakeUeventSocket(int pid, int fd, UniqueFd &taken)
{
	// libc has wrappers only since 2.36.
	UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
	if (!process)
		return errno;
	UniqueFd socket(static_cast<int>(syscall(SYS_pidfd_getfd, process.Get(), fd, 0)));
	if (!socket)
		return errno;
	int domain = -1;
	int protocol = -1;
	int error = IntegerOption(socket.Get(), SO_DOMAIN, domain);
	if (!error)
		error = IntegerOption(socket.Get(), SO_PROTOCOL, protocol);
	// ENOTSOCK, or EBADF for an O_PATH fd.
	if (error || domain != AF_NETLINK || protocol != NETLINK_KOBJECT_UEVENT)
		return EPROTOTYPE;
	taken = std::move(socket);
	return 0;
}

int ProbeFilter(int socket, FilterKind &kind)
{
	// Asked with no room, the kernel answers with the number of classic instructions.
	socklen_t count = 0;
	if (!getsockopt(socket, SOL_SOCKET, SO_GET_FILTER, nullptr, &count)) {
		kind = count ? FilterKind::kClassic : FilterKind::kNone;
		return 0;
	}
	if (errno != EACCES)
		return errno;
	kind = FilterKind::kEbpf;
	return 0;
}

int AttachFilter(int socket, int program)
{
	return setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)) ? errno : 0;
}

int DetachFilter(int socket)
{
	int unused = 0;
	return setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) ? errno
											 : 0;
}

int SocketInode(int socket, uint64_t &inode)
{
	struct stat status;
	if (fstat(socket, &status))
		return errno;
	inode = status.st_ino;
	return 0;
}

int SocketCookie(int socket, uint64_t &cookie)
{
	socklen_t size = sizeof(cookie);
	return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? errno : 0;
}

} // namespace loopwarden
