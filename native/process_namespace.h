// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_PROCESS_NAMESPACE_H
#define LOOPWARDEN_PROCESS_NAMESPACE_H

#include <cstdint>

#include "unique_fd.h"

namespace loopwarden
{

// Opens /proc/PID/ns/KIND of the very process that began `start_ticks` after boot (field 22 of
// /proc/PID/stat). Returns 0 or an errno: ESRCH if that process is gone, also if its pid is in use
// again.
int OpenProcessNamespace(int pid, uint64_t start_ticks, const char *kind, UniqueFd &opened);

} // namespace loopwarden

#endif
