// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_RECEIVER_SOCKET_H
#define LOOPWARDEN_RECEIVER_SOCKET_H

#include "unique_fd.h"
#include "wrapped.h"

namespace loopwarden
{

struct ReceiverState {
	UniqueFd socket;
};

class ReceiverSocket : public Wrapped<ReceiverSocket, ReceiverState>
{
      public:
	static constexpr char kName[] = "ReceiverSocket";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Inode(const Napi::CallbackInfo &info);
	Napi::Value Cookie(const Napi::CallbackInfo &info);
	Napi::Value Portid(const Napi::CallbackInfo &info);
	Napi::Value Groups(const Napi::CallbackInfo &info);
	Napi::Value Filter(const Napi::CallbackInfo &info);
	Napi::Value Attach(const Napi::CallbackInfo &info);
	Napi::Value Detach(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
