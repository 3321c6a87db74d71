// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_DEVICE_NODE_H
#define LOOPWARDEN_DEVICE_NODE_H

#include <sys/types.h>

#include "unique_fd.h"

namespace loopwarden
{

// Opens a block device by a node that nobody else sees: the host's may have been removed. Not open:
// errno.
UniqueFd OpenDevice(dev_t devno, int flags);

} // namespace loopwarden

#endif
