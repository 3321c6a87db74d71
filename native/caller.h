// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_CALLER_H
#define LOOPWARDEN_CALLER_H

#include <sys/types.h>

#include "unique_fd.h"

namespace loopwarden
{

// Who waits for an answer, by descriptors, which never come to mean another one.
struct Caller {
	// A pidfd.
	UniqueFd process;
	UniqueFd userns;
};

// By the number of any of its threads; 0 or an errno.
int OpenThread(pid_t thread, Caller &opened);
// Whether a thread that waits for an answer has CAP_SYS_ADMIN in the initial user namespace.
bool IsHostAdmin(pid_t thread);

} // namespace loopwarden

#endif
