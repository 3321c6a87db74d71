// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_NAMESPACE_H
#define LOOPWARDEN_NAMESPACE_H

#include <napi.h>

namespace loopwarden
{

Napi::Value NamespaceIdentity(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
