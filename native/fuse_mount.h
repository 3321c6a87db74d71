// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_MOUNT_H
#define LOOPWARDEN_FUSE_MOUNT_H

#include <sys/types.h>

#include <string>

#include "fuse_scope.h"
#include "unique_fd.h"

namespace loopwarden
{

struct FuseMount {
	// The server's end, nonblocking.
	UniqueFd device;
	// A mount that is attached nowhere. When the last one of this superblock goes, the kernel
	// ends the connection.
	UniqueFd mount;
};

// 0 or an errno, with the step that failed.
int MakeFuseMount(const FuseScope &scope, FuseMount &made, std::string &step);
// Attaches a detached mount at a path; 0 or an errno.
int MoveMount(int mount, const std::string &path);

} // namespace loopwarden

#endif
