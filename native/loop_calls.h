// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_LOOP_CALLS_H
#define LOOPWARDEN_LOOP_CALLS_H

#include <napi.h>

namespace loopwarden
{

// All off the event loop: adding and removing a disk can take milliseconds, a detachment as long
// as the writes it waits for. They resolve with the result, or a negative errno.

// (request, argument): an ioctl on the host's loop-control.
Napi::Value CallLoopControl(const Napi::CallbackInfo &info);
// (major, minor): LOOP_CLR_FD, by a node of our own: the host's may have been removed.
Napi::Value ClearLoop(const Napi::CallbackInfo &info);
// (major, minor): BLKRRPART, in the same way.
Napi::Value RescanLoop(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
