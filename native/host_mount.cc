// SPDX-License-Identifier: Apache-2.0
#include "host_mount.h"

#include <sys/mount.h>

#include <cerrno>
#include <climits>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "fuse_mount.h"

namespace loopwarden
{
namespace
{

constexpr char kSource[] = "loopfs-host";

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

} // namespace

// The host's mounts are shared as a rule: what is mounted on one of them appears in the mount
// namespaces that follow it. So an empty file system comes first, which may appear there, is then
// made private, and is what the instance is mounted on.
Napi::Value PlaceHostMount(const Napi::CallbackInfo &info)
{
	Napi::Env env = info.Env();
	int mount_fd = static_cast<int>(NumberArgument(info, 0, "mountFd", 0, INT_MAX));
	std::string path = PathArgument(info, 1, "path");
	if (mount(kSource, path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=700,size=4k"))
		ThrowErrno(env, "placeHostMount", errno, "mount " + path);
	std::string step;
	int error = PlaceOnBase(mount_fd, path, step);
	if (error) {
		Detach(path);
		ThrowErrno(env, "placeHostMount", error, step + " " + path);
	}
	return env.Undefined();
}

Napi::Value Unmount(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	int error = Detach(path);
	if (error)
		ThrowErrno(info.Env(), "unmount", error, path);
	return info.Env().Undefined();
}

} // namespace loopwarden
