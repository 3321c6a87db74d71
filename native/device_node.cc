// SPDX-License-Identifier: Apache-2.0
#include "device_node.h"

#include <sys/mount.h>
#include <sys/stat.h>

namespace loopwarden
{

// A tmpfs that is attached nowhere.
static UniqueFd PrivateFolder()
{
	UniqueFd context(fsopen("tmpfs", FSOPEN_CLOEXEC));
	if (!context || fsconfig(context.Get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0))
		return UniqueFd();
	return UniqueFd(
	    fsmount(context.Get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
}

UniqueFd OpenDevice(dev_t devno, int flags)
{
	UniqueFd folder = PrivateFolder();
	if (!folder || mknodat(folder.Get(), "loop", S_IFBLK | 0600, devno))
		return UniqueFd();
	return UniqueFd(openat(folder.Get(), "loop", flags | O_CLOEXEC | O_NONBLOCK));
}

} // namespace loopwarden
