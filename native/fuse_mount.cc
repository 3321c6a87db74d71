// SPDX-License-Identifier: Apache-2.0
#include "fuse_mount.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstring>

namespace loopwarden
{

int MakeFuseMount(const FuseScope &scope, FuseMount &made, std::string &step)
{
	step = "open /dev/fuse";
	made.device = UniqueFd(open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
	if (!made.device)
		return errno;
	step = "fsopen";
	UniqueFd context(fsopen("fuse", FSOPEN_CLOEXEC));
	if (!context)
		return errno;
	// By value as text: kernels before 6.9 take the descriptor in no other way.
	const std::string settings[][2] = {
	    {"source", "loopfs"},
	    {"subtype", "loopfs"},
	    {"fd", std::to_string(made.device.Get())},
	    {"rootmode", scope.is_host ? "40700" : "40755"},
	    {"user_id", std::to_string(scope.uid)},
	    {"group_id", std::to_string(scope.gid)},
	};
	for (const auto &[key, value] : settings) {
		step = "fsconfig " + key;
		if (fsconfig(context.Get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0))
			return errno;
	}
	// The kernel decides by owner and mode; of a container's whoever the namespaces let in may ask.
	for (const char *flag : {"default_permissions", "allow_other"}) {
		if (scope.is_host && !strcmp(flag, "allow_other"))
			continue;
		step = std::string("fsconfig ") + flag;
		if (fsconfig(context.Get(), FSCONFIG_SET_FLAG, flag, nullptr, 0))
			return errno;
	}
	step = "fsconfig create";
	if (fsconfig(context.Get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0))
		return errno;
	step = "fsmount";
	// Devices are the point of it; nothing on it is to be run.
	made.mount = UniqueFd(
	    fsmount(context.Get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
	return made.mount ? 0 : errno;
}

int MoveMount(int mount, const std::string &path)
{
	return move_mount(mount, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) ? errno : 0;
}

} // namespace loopwarden
