// SPDX-License-Identifier: Apache-2.0
#include "host_mount.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <functional>
#include <string>
#include <system_error>
#include <thread>

#include "arguments.h"
#include "errors.h"
#include "fuse_mount.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

constexpr char kSource[] = "loopfs-host";

bool IsSame(const char *one, const char *other)
{
	struct stat first, second;
	return !stat(one, &first) && !stat(other, &second) && first.st_dev == second.st_dev &&
	       first.st_ino == second.st_ino;
}

// Or in a chroot or container, whose pid 1 has another root: then its own mounts are the host's for us.
bool IsInHostMounts()
{
	return IsSame("/proc/self/ns/mnt", "/proc/1/ns/mnt") || !IsSame("/", "/proc/1/root/");
}

// Neither propagated nor copied by a bind mount of what is above.
int MakeUnbindable(const std::string &path)
{
	return mount(nullptr, path.c_str(), nullptr, MS_UNBINDABLE, nullptr) ? errno : 0;
}

int Detach(const std::string &path)
{
	return umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) ? errno : 0;
}

int PlaceOnBase(int mount, const std::string &path, std::string &step)
{
	step = "MS_UNBINDABLE";
	int error = MakeUnbindable(path);
	if (error)
		return error;
	step = "move_mount";
	error = MoveMount(mount, path);
	if (error)
		return error;
	step = "MS_UNBINDABLE";
	error = MakeUnbindable(path);
	if (error)
		Detach(path);
	return error;
}

// In pid 1's mount namespace: a service manager may have given this process one of its own. Returns what
// `body` does, or why it was not called.
int InHostMounts(const std::function<int()> &body)
{
	if (IsInHostMounts())
		return body();
	UniqueFd mounts(open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC));
	if (!mounts)
		return errno;
	int error = 0;
	try {
		std::thread([&] {
			// Threads share root and working directory until one of them asks for its own.
			if (unshare(CLONE_FS) || setns(mounts.Get(), CLONE_NEWNS))
				error = errno;
			else
				error = body();
		}).join();
	} catch (const std::system_error &) {
		return EAGAIN;
	}
	return error;
}

int MountOnBase(int mount_fd, const std::string &path, std::string &step)
{
	step = "mount";
	if (mount(kSource, path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=700,size=4k"))
		return errno;
	int error = PlaceOnBase(mount_fd, path, step);
	if (error)
		Detach(path);
	return error;
}

} // namespace

// The host's mounts are shared as a rule: what is mounted on one of them appears in the mount
// namespaces that follow it. So an empty file system comes first, which may appear there, is then
// made private, and is what the instance is mounted on.
Napi::Value PlaceHostMount(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int mount_fd = static_cast<int>(NumberArgument(info, 0, "mountFd", 0, INT_MAX));
	std::string path = PathArgument(info, 1, "path");
	std::string step = "setns";
	int error = InHostMounts([&] { return MountOnBase(mount_fd, path, step); });
	if (error)
		ThrowErrno(env, "placeHostMount", error, step + " " + path);
	return env.Undefined();
}

Napi::Value Unmount(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	int error = InHostMounts([&] { return Detach(path); });
	if (error)
		ThrowErrno(info.Env(), "unmount", error, path);
	return info.Env().Undefined();
}

Napi::Value HostMountInfo(const Napi::CallbackInfo &info)
{
	return Napi::String::New(info.Env(),
				 IsInHostMounts() ? "/proc/self/mountinfo" : "/proc/1/mountinfo");
}

} // namespace loopwarden
