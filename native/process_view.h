// SPDX-License-Identifier: Apache-2.0
/* What /proc tells of other processes only with CAP_SYS_PTRACE; mounted with hidepid that is all of it. */
#ifndef LOOPWARDEN_PROCESS_VIEW_H
#define LOOPWARDEN_PROCESS_VIEW_H

#include <napi.h>

namespace loopwarden
{

// For all see NativeAddon.
Napi::Value ProcessExecutable(const Napi::CallbackInfo &info);
Napi::Value ProcessText(const Napi::CallbackInfo &info);
Napi::Value RunsExecutable(const Napi::CallbackInfo &info);
Napi::Value ProcessNamespace(const Napi::CallbackInfo &info);
Napi::Value ListNamespaces(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
