// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UDEV_COOKIE_H
#define LOOPWARDEN_UDEV_COOKIE_H

#include <napi.h>

namespace loopwarden
{

// (cookie): what udev's rules do for a DM_COOKIE with `dmsetup udevcomplete`. 0, or the errno: ENOENT
// where nobody waits for it (any more).
Napi::Value CompleteUdevCookie(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
