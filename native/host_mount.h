// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_HOST_MOUNT_H
#define LOOPWARDEN_HOST_MOUNT_H

#include <napi.h>

namespace loopwarden
{

// All of them in the host's mount namespace, also where this process has another.
// placeHostMount(mountFd, path): the detached mount on an existing folder of the host.
Napi::Value PlaceHostMount(const Napi::CallbackInfo &info);
// unmount(path): the topmost mount there, also while it is in use.
Napi::Value Unmount(const Napi::CallbackInfo &info);
// hostMountInfo(): the path of what is mounted there.
Napi::Value HostMountInfo(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
