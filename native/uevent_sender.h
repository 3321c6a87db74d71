// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UEVENT_SENDER_H
#define LOOPWARDEN_UEVENT_SENDER_H

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct SenderState {
	UniqueFd socket;
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
