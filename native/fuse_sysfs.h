// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_SYSFS_H
#define LOOPWARDEN_FUSE_SYSFS_H

#include <vector>

#include "fuse_node.h"

namespace loopwarden
{

// Fills in the devno of a disk or partition as sysfs has it now; false if there is none.
bool ReadDevno(FuseNode &node);
// Whether the devno of a disk or partition is that of its name now: a fifth of the price.
bool IsDevnoCurrent(const FuseNode &node);
// Every loop disk and partition of the host, without devno, in no order.
std::vector<FuseNode> ListLoopNodes();

} // namespace loopwarden

#endif
