// SPDX-License-Identifier: Apache-2.0
#include <napi.h>

#include <climits>
#include <string>

#include "arguments.h"
#include "capabilities.h"
#include "errors.h"
#include "exported.h"
#include "fuse_mount.h"
#include "loop_calls.h"
#include "loopfs_server.h"
#include "userns_chain.h"
#include "wrapped.h"

namespace loopwarden
{
namespace
{

Napi::Value AttachMount(const Napi::CallbackInfo &info)
{
	int mount = static_cast<int>(NumberArgument(info, 0, "mountFd", 0, INT_MAX));
	std::string path = PathArgument(info, 1, "path");
	int error = MoveMount(mount, path);
	if (error)
		ThrowErrno(info.Env(), "attachMount", error, path);
	return info.Env().Undefined();
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports)
{
	env.SetInstanceData(new AddonData);
	LoopfsServer::Register(env);
	const napi_property_descriptor functions[] = {
	    Export<LoopfsServer::Open>("openServer"),
	    Export<AttachMount>("attachMount"),
	    Export<CallLoopControl>("callLoopControl"),
	    Export<ClearLoop>("clearLoop"),
	    Export<UsernsChain>("usernsChain"),
	    Export<ExecWithCapabilities>("execWithCapabilities"),
	};
	napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions);
	return exports;
}

} // namespace
} // namespace loopwarden

static Napi::Object InitializeAddon(Napi::Env env, Napi::Object exports)
{
	return loopwarden::Initialize(env, exports);
}

NODE_API_MODULE(loopfs, InitializeAddon)
