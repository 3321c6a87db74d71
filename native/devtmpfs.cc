// SPDX-License-Identifier: Apache-2.0
#include "devtmpfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cerrno>
#include <climits>
#include <string>

#include "arguments.h"
#include "errors.h"
#include "privileged_thread.h"
#include "unique_fd.h"

namespace loopwarden
{
namespace
{

constexpr unsigned kLoopMajor = 7;
// BLOCK_EXT_MAJOR: partitions, and disks past the minors of their driver.
constexpr unsigned kExtendedMajor = 259;

// Where src/devices/devtmpfs.ts keeps a node for a moment.
constexpr char kPrivateFolder[] = ".loopwarden/";

// `loop5`, `loop5p1`, there or in the private folder: with the capability to make nodes goes nothing else.
bool IsLoopName(std::string name)
{
	size_t at = 4;
	if (!name.compare(0, sizeof(kPrivateFolder) - 1, kPrivateFolder))
		name.erase(0, sizeof(kPrivateFolder) - 1);
	auto digits = [&] {
		size_t from = at;
		while (at < name.size() && name[at] >= '0' && name[at] <= '9')
			at++;
		return at > from;
	};
	if (name.size() > 24 || name.compare(0, 4, "loop") || !digits())
		return false;
	if (at < name.size() && name[at++] == 'p' && !digits())
		return false;
	return at == name.size();
}

// 0, or the errno.
int MakeNode(int folder, const char *name, dev_t devno, mode_t mode, uid_t uid, gid_t gid)
{
	if (mknodat(folder, name, S_IFBLK | 0600, devno))
		return errno;
	// In this order: who gives it away may not change its mode any more.
	if (fchmodat(folder, name, mode, 0) ||
	    fchownat(folder, name, uid, gid, AT_SYMLINK_NOFOLLOW)) {
		int error = errno;
		unlinkat(folder, name, 0);
		return error;
	}
	return 0;
}

} // namespace

Napi::Value OpenDevtmpfs(const Napi::CallbackInfo &info)
{
	// There is only one: whatever is on /dev in our view, a new mount shows the kernel's own nodes.
	UniqueFd context(fsopen("devtmpfs", FSOPEN_CLOEXEC));
	if (!context || fsconfig(context.Get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0))
		ThrowErrno(info.Env(), "openDevtmpfs", errno);
	UniqueFd folder(
	    fsmount(context.Get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
	if (!folder)
		ThrowErrno(info.Env(), "openDevtmpfs", errno);
	return Napi::Number::New(info.Env(), folder.Release());
}

Napi::Value MakeDeviceNode(const Napi::CallbackInfo &info)
{
	int folder = static_cast<int>(NumberArgument(info, 0, "folder", 0, INT_MAX));
	std::string name = PathArgument(info, 1, "name");
	auto major_number = static_cast<unsigned>(NumberArgument(info, 2, "major", 0, 0xfff));
	auto minor_number = static_cast<unsigned>(NumberArgument(info, 3, "minor", 0, 0xfffff));
	auto mode = static_cast<mode_t>(NumberArgument(info, 4, "mode", 0, 0777));
	auto uid = static_cast<uid_t>(NumberArgument(info, 5, "uid", 0, UINT32_MAX - 1));
	auto gid = static_cast<gid_t>(NumberArgument(info, 6, "gid", 0, UINT32_MAX - 1));
	if (!IsLoopName(name))
		ThrowRange(info.Env(), "name must be a loop device's");
	if (major_number != kLoopMajor && major_number != kExtendedMajor)
		ThrowRange(info.Env(), "major must be a loop device's");
	int error = 0;
	RunPrivileged([&] {
		error = MakeNode(folder, name.c_str(), makedev(major_number, minor_number), mode,
				 uid, gid);
	});
	if (error)
		ThrowErrno(info.Env(), "makeDeviceNode", error, name);
	return info.Env().Undefined();
}

} // namespace loopwarden
