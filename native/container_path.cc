// SPDX-License-Identifier: Apache-2.0
#include "container_path.h"

#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>

#include "thread_task.h"

// Linux 6.8; a kernel that does not know it answers as for STATX_MNT_ID.
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

namespace loopwarden
{
namespace
{

constexpr uint64_t kStayInside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

UniqueFd OpenFolder(int from, const std::string &path, uint64_t resolve)
{
	struct open_how how = {};
	how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	how.resolve = resolve;
	return UniqueFd(
	    static_cast<int>(syscall(SYS_openat2, from, path.c_str(), &how, sizeof(how))));
}

} // namespace

Place OpenPlace(int root, const std::string &path)
{
	size_t slash = path.rfind('/');
	std::string name = slash == std::string::npos ? "" : path.substr(slash + 1);
	if (path.empty() || path[0] != '/' || name.empty() || name == "." || name == ".." ||
	    path.size() >= PATH_MAX)
		throw Failure{EINVAL, path, "not an absolute path to a name"};
	std::string parent = slash == 0 ? "/" : path.substr(0, slash);
	UniqueFd folder = OpenFolder(root, parent, kStayInside | RESOLVE_NO_SYMLINKS);
	if (!folder)
		throw Failure{errno, parent, ""};
	return {std::move(folder), name};
}

UniqueFd OpenFolderAt(const Place &place, bool across)
{
	uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	UniqueFd opened = OpenFolder(place.folder.Get(), place.name,
				     across ? resolve : resolve | RESOLVE_NO_XDEV);
	if (!opened && errno == EXDEV)
		throw Failure{EBUSY, place.name, "something is mounted there"};
	if (!opened)
		throw Failure{errno, place.name, ""};
	return opened;
}

UniqueFd OpenHostFolder(int root, const std::string &path)
{
	UniqueFd opened = OpenFolder(root, path, kStayInside);
	if (!opened)
		throw Failure{errno, path, ""};
	return opened;
}

Standing StandingOf(int fd, const std::string &subject)
{
	struct statx status;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &status))
		throw Failure{errno, subject, ""};
	return {makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_mnt_id,
		(status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0};
}

} // namespace loopwarden
