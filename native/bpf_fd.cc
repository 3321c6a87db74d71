// SPDX-License-Identifier: Apache-2.0
#include "bpf_fd.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <climits>

#include "errors.h"

namespace loopwarden
{
namespace
{

// The kernel answers BPF_OBJ_GET_INFO_BY_FD for any kind with that kind's own layout, so ask
// before.
bool IsKind(int fd, const std::string &kind)
{
	char target[PATH_MAX];
	std::string link = "/proc/self/fd/" + std::to_string(fd);
	ssize_t length = readlink(link.c_str(), target, sizeof(target));
	if (length < 0)
		return false;
	std::string name(target, length);
	// Iterator links have a pin name like any link, but newer kernels spell kinds "bpf-map",
	// links "bpf_link".
	return name == "anon_inode:bpf-" + kind || name == "anon_inode:bpf_" + kind ||
	       name == "anon_inode:[bpf-" + kind + "]" || name == "anon_inode:[bpf_" + kind + "]";
}

} // namespace

UniqueFd Duplicate(Napi::Env env, const char *operation, int fd)
{
	UniqueFd own = UniqueFd::DuplicateOf(fd);
	if (!own)
		ThrowErrno(env, operation, errno);
	return own;
}

UniqueFd OpenPin(Napi::Env env, const char *operation, const std::string &path, const char *kind)
{
	UniqueFd fd(bpf_obj_get(path.c_str()));
	if (!fd)
		ThrowErrno(env, operation, errno, path);
	if (!IsKind(fd.Get(), kind))
		ThrowReason(env, operation, EINVAL, path, std::string("not a pinned ") + kind);
	return fd;
}

void PinFd(Napi::Env env, const char *operation, int fd, const std::string &path)
{
	if (bpf_obj_pin(fd, path.c_str()))
		ThrowErrno(env, operation, errno, path);
}

} // namespace loopwarden
