// SPDX-License-Identifier: Apache-2.0
#include "cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "privileged_thread.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

// FILEID_KERNFS of include/linux/exportfs.h, Linux 5.5; the headers have no name for it. Its handle is the id alone.
constexpr int kKernfsHandle = 0xfe;

union KernfsHandle {
	struct file_handle head;
	char bytes[sizeof(struct file_handle) + sizeof(uint64_t)];
};

uint64_t IdArgument(const Napi::CallbackInfo &info, size_t index)
{
	if (!info[index].IsBigInt())
		ThrowType(info.Env(), "id must be a BigInt");
	bool lossless = false;
	uint64_t id = info[index].As<Napi::BigInt>().Uint64Value(&lossless);
	if (!lossless)
		ThrowRange(info.Env(), "id must be a 64-bit number");
	return id;
}

} // namespace

Napi::Value CgroupPath(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	std::string mount = PathArgument(info, 0, "mount");
	uint64_t id = IdArgument(info, 1);
	UniqueFd hierarchy(open(mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct statfs filesystem;
	if (!hierarchy || fstatfs(hierarchy.Get(), &filesystem))
		ThrowErrno(env, "cgroupPath", errno, mount);
	if (filesystem.f_type != CGROUP2_SUPER_MAGIC)
		ThrowReason(env, "cgroupPath", EINVAL, mount, "not a cgroup2 file system");
	KernfsHandle handle = {};
	handle.head.handle_bytes = sizeof(id);
	handle.head.handle_type = kKernfsHandle;
	memcpy(handle.head.f_handle, &id, sizeof(id));
	UniqueFd folder;
	int error = 0;
	RunPrivileged([&] {
		folder.Reset(open_by_handle_at(hierarchy.Get(), &handle.head,
					       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		error = folder ? 0 : errno;
	});
	// ESTALE: no cgroup has it (any more); ENOTDIR: it is a file's.
	if (error == ESTALE || error == ENOTDIR)
		return env.Null();
	if (error)
		ThrowErrno(env, "cgroupPath", error, mount);
	char path[PATH_MAX];
	std::string link = "/proc/self/fd/" + std::to_string(folder.Get());
	ssize_t length = readlink(link.c_str(), path, sizeof(path));
	if (length < 0)
		ThrowErrno(env, "cgroupPath", errno, link);
	return Napi::String::New(env, path, static_cast<size_t>(length));
}

} // namespace loopwarden
