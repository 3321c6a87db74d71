// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_SERVICE_NOTIFY_H
#define LOOPWARDEN_SERVICE_NOTIFY_H

#include <napi.h>

namespace loopwarden
{

// notifyService(address, text): see NativeAddon.
Napi::Value NotifyService(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
