// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_CAPABILITIES_H
#define LOOPWARDEN_CAPABILITIES_H

#include <napi.h>

namespace loopwarden
{

// Replaces this process by a program that has no capability but those of a mask, and can get none
// back. Never returns but by throwing. By execve, since capabilities are a thread's own: the threads
// that the runtime has started would keep theirs.
Napi::Value ExecWithCapabilities(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
