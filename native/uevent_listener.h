// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UEVENT_LISTENER_H
#define LOOPWARDEN_UEVENT_LISTENER_H

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct ListenerState {
	UniqueFd socket;
	bool bound = false;
	uint32_t groups = 0;
};

class UeventListener : public Wrapped<UeventListener, ListenerState>
{
      public:
	static constexpr char kName[] = "UeventListener";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Inode(const Napi::CallbackInfo &info);
	Napi::Value Cookie(const Napi::CallbackInfo &info);
	Napi::Value Attach(const Napi::CallbackInfo &info);
	Napi::Value Send(const Napi::CallbackInfo &info);
	int Bind(uint32_t groups);
};

} // namespace loopwarden

#endif
