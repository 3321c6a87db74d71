// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_SCOPE_H
#define LOOPWARDEN_FUSE_SCOPE_H

#include <sys/types.h>

#include <cstdint>

namespace loopwarden
{

// Whose an instance is.
struct FuseScope {
	// The host's shows every device that is not told to be in an instance, to the host's
	// CAP_SYS_ADMIN alone; a container's shows what it is told, by owner and mode.
	bool is_host;
	uid_t uid;
	gid_t gid;
	// What statfs shows as the most; the host's has none.
	uint32_t limit;
};

} // namespace loopwarden

#endif
