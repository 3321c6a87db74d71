// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_BPF_FD_H
#define LOOPWARDEN_BPF_FD_H

#include <napi.h>

#include <string>

#include "unique_fd.h"

namespace loopwarden
{

// A duplicate of `fd`, or throws.
UniqueFd Duplicate(Napi::Env env, const char *operation, int fd);
// Opens a pin of that kind (map, prog, link); throws EINVAL if something else is pinned there.
UniqueFd OpenPin(Napi::Env env, const char *operation, const std::string &path, const char *kind);
void PinFd(Napi::Env env, const char *operation, int fd, const std::string &path);

} // namespace loopwarden

#endif
