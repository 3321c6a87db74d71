// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_DEVTMPFS_H
#define LOOPWARDEN_DEVTMPFS_H

#include <napi.h>

namespace loopwarden
{

// See NativeAddon.
Napi::Value OpenDevtmpfs(const Napi::CallbackInfo &info);
Napi::Value MakeDeviceNode(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
