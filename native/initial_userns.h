// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_INITIAL_USERNS_H
#define LOOPWARDEN_INITIAL_USERNS_H

#include <sys/types.h>

namespace loopwarden
{

// PROC_USER_INIT_INO: the inum of the initial user namespace, in every boot.
constexpr ino_t kInitialInum = 0xeffffffd;

} // namespace loopwarden

#endif
