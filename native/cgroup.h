// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_CGROUP_H
#define LOOPWARDEN_CGROUP_H

#include <napi.h>

namespace loopwarden
{

Napi::Value CgroupPath(const Napi::CallbackInfo &info);

} // namespace loopwarden

#endif
