// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UEVENT_SENDER_H
#define LOOPWARDEN_UEVENT_SENDER_H

#include <sys/types.h>

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct SenderState {
	UniqueFd socket;
	// The host's ids of the container's root.
	uid_t uid = 0;
	gid_t gid = 0;
};

// Broadcasts uevents within a container's network namespace, where the kernel sends none itself.
class UeventSender : public Wrapped<UeventSender, SenderState>
{
      public:
	static constexpr char kName[] = "UeventSender";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Send(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
