// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_FUSE_INSTANCE_H
#define LOOPWARDEN_FUSE_INSTANCE_H

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <deque>
#include <memory>
#include <set>
#include <shared_mutex>
#include <vector>

#include "fuse_node.h"
#include "fuse_scope.h"

struct fuse_session;

namespace loopwarden
{

class FuseRequests;

// One mount: whose it is and which devices it holds. Lives until its last request is answered.
struct FuseInstance : std::enable_shared_from_this<FuseInstance> {
	FuseInstance(uint32_t id, const FuseScope &scope, FuseRequests &requests);
	~FuseInstance();

	// What the name stands for at this moment; kNone if nothing.
	FuseNode Find(const char *name) const;
	// Whether a node that was found earlier is still there and the same.
	bool IsPresent(const FuseNode &node) const;
	void Fill(const FuseNode &node, struct stat &status) const;
	// Disks and partitions that are there, by number, without their devnos.
	std::vector<FuseNode> List() const;
	size_t CountDevices() const;
	// A container's: whether it has the device. The host's: whether another instance has not.
	void SetDevice(uint32_t number, bool present);

	const uint32_t id;
	const FuseScope scope;
	FuseRequests &requests;
	// Owns the descriptor of /dev/fuse.
	struct fuse_session *session = nullptr;
	int fd = -1;

	// These two belong to FuseRequests, under its lock.
	uint32_t outstanding = 0;
	std::deque<uint64_t> waiting;

      private:
	bool Holds(uint32_t number) const;
	// With the lock held.
	bool HasLocked(uint32_t number) const;

	const time_t created_;
	mutable std::shared_mutex mutex_;
	// A container's own; of the host's those that are not in it.
	std::set<uint32_t> told_;
};

} // namespace loopwarden

#endif
