// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_CONTAINER_PATH_H
#define LOOPWARDEN_CONTAINER_PATH_H

#include <cstdint>
#include <string>

#include "unique_fd.h"

namespace loopwarden
{

// A path in a container, whose root changes it while we walk: the folder is open, the last name is
// not resolved yet.
struct Place {
	UniqueFd folder;
	std::string name;
};

// All throw Failure. `root` is the container's; `path` is absolute in it. No symlink is ever followed,
// whatever the container has put there, and no way leads out.
Place OpenPlace(int root, const std::string &path);
// O_PATH; `across`: also if something is mounted on it, else EBUSY.
UniqueFd OpenFolderAt(const Place &place, bool across);
// A folder by a path that the host chose: symlinks count, as seen from `root`.
UniqueFd OpenHostFolder(int root, const std::string &path);

struct Standing {
	// Of its file system.
	uint64_t device;
	// Of its mount, never used again from Linux 6.8 on. 0 before 5.8.
	uint64_t mount_id;
	bool is_mount_root;
};

// Without asking the file system's server, if it has one.
Standing StandingOf(int fd, const std::string &subject);

} // namespace loopwarden

#endif
