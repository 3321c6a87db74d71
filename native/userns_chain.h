// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_USERNS_CHAIN_H
#define LOOPWARDEN_USERNS_CHAIN_H

#include <napi.h>

namespace loopwarden
{

// (pid): the process's user namespace and its ancestors below the initial one, innermost first.
Napi::Value UsernsChain(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
