// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_HOST_MOUNT_H
#define LOOPWARDEN_HOST_MOUNT_H

#include <napi.h>

namespace loopwarden
{

// placeHostMount(mountFd, path): the detached mount on an existing folder of the host.
Napi::Value PlaceHostMount(const Napi::CallbackInfo &info);
// unmount(path): the topmost mount there, also while it is in use.
Napi::Value Unmount(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
