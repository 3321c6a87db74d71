// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_MOUNT_NAMESPACE_H
#define LOOPWARDEN_MOUNT_NAMESPACE_H

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

// A container's. Its root is settled once; the namespace itself is opened for each step that needs it,
// because while it is held open, the container's mounts would outlive its processes.
struct MountNamespaceState {
	int pid = 0;
	uint64_t start_ticks = 0;
	UniqueFd root;
	// The host's ids of the container's root. Whatever is made there is made by them, with no more
	// rights than they have.
	uid_t uid = 0;
	gid_t gid = 0;
};

// The state is shared with the threads that work on it, so that close() need not wait for them.
class MountNamespace : public Wrapped<MountNamespace, std::shared_ptr<const MountNamespaceState>>
{
      public:
	static constexpr char kName[] = "MountNamespace";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Place(const Napi::CallbackInfo &info);
	Napi::Value Unplace(const Napi::CallbackInfo &info);
	Napi::Value UnplaceDead(const Napi::CallbackInfo &info);
	Napi::Value UnplaceById(const Napi::CallbackInfo &info, const char *operation,
				const std::string &target, uint64_t mount_id);
	Napi::Value Link(const Napi::CallbackInfo &info);
	Napi::Value Unlink(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
