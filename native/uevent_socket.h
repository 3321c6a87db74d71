// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UEVENT_SOCKET_H
#define LOOPWARDEN_UEVENT_SOCKET_H

#include <cstdint>

#include "unique_fd.h"

namespace loopwarden
{

enum class FilterKind { kNone, kClassic, kEbpf };

// All return 0 or an errno.

// Takes a duplicate of the process's socket. EPROTOTYPE if the fd is no uevent socket.
int TakeUeventSocket(int pid, int fd, UniqueFd &taken);
int ProbeFilter(int socket, FilterKind &kind);
int AttachFilter(int socket, int program);
// ENOENT if there was none.
int DetachFilter(int socket);
int SocketInode(int socket, uint64_t &inode);
int SocketCookie(int socket, uint64_t &cookie);

} // namespace loopwarden

#endif
