// SPDX-License-Identifier: Apache-2.0
/*
 * Detaching and removing loop devices that are nobody's any more. Each call has a thread of its own: the file behind a device
 * may lie on a file system that never answers.
 */
#ifndef LOOPWARDEN_LOOP_RELEASE_H
#define LOOPWARDEN_LOOP_RELEASE_H

#include <napi.h>

namespace loopwarden
{

// See NativeAddon.
Napi::Value ClaimLoop(const Napi::CallbackInfo &info);
Napi::Value ReleaseLoop(const Napi::CallbackInfo &info);
Napi::Value RemoveLoop(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
