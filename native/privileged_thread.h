// SPDX-License-Identifier: Apache-2.0
/*
 * The few things of a running agent that need a capability, after its other threads have given up theirs: one thread
 * keeps two, and does nothing but what is handed to it here.
 */
#ifndef LOOPWARDEN_PRIVILEGED_THREAD_H
#define LOOPWARDEN_PRIVILEGED_THREAD_H

#include <napi.h>

#include <functional>

namespace loopwarden
{

// Runs it in that thread and waits; in the calling one as long as nothing was given up. `body` must not throw.
void RunPrivileged(const std::function<void()> &body);

// dropCapabilities(map, keep, privileged): see NativeAddon.
Napi::Value DropCapabilities(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
