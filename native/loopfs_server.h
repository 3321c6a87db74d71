// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_LOOPFS_SERVER_H
#define LOOPWARDEN_LOOPFS_SERVER_H

#include <memory>

#include "fuse_scope.h"
#include "wrapped.h"

namespace loopwarden
{

class ServerBridge;

struct ServerState {
	explicit ServerState(std::unique_ptr<ServerBridge> bridge);
	~ServerState();

	std::unique_ptr<ServerBridge> bridge;
};

class LoopfsServer : public Wrapped<LoopfsServer, ServerState>
{
      public:
	static constexpr char kName[] = "LoopfsServer";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Mount(const Napi::CallbackInfo &info);
	Napi::Value MountHost(const Napi::CallbackInfo &info);
	Napi::Value MountScope(Napi::Env env, const FuseScope &scope);
	Napi::Value End(const Napi::CallbackInfo &info);
	Napi::Value SetDevice(const Napi::CallbackInfo &info);
	Napi::Value Respond(const Napi::CallbackInfo &info);
	Napi::Value OpenCaller(const Napi::CallbackInfo &info);
	Napi::Value Instances(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
