// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_DESCRIPTOR_MESSAGE_H
#define LOOPWARDEN_DESCRIPTOR_MESSAGE_H

#include <cstddef>

namespace loopwarden
{

// One packet on a Unix socket, with one descriptor (SCM_RIGHTS). `flags` as sendmsg(2)'s; a socket that
// nobody reads any more raises no signal. 0 or an errno.
int SendDescriptor(int channel, const void *packet, size_t size, int descriptor, int flags);

} // namespace loopwarden

#endif
