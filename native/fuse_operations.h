// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_OPERATIONS_H
#define LOOPWARDEN_FUSE_OPERATIONS_H

struct fuse_lowlevel_ops;

namespace loopwarden
{

// What an instance's mount answers; the session's user data is the FuseInstance.
const struct fuse_lowlevel_ops &FuseOperations();

} // namespace loopwarden

#endif
