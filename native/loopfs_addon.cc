// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <napi.h>

#include <climits>
#include <string>

#include "arguments.h"
#include "capabilities.h"
#include "errors.h"
#include "exported.h"
#include "fuse_mount.h"
#include "image_client.h"
#include "image_offer.h"
#include "host_mount.h"
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

constexpr int kHeaps = 2;

Napi::Object Initialize(Napi::Env env, Napi::Object exports)
{
	env.SetInstanceData(new AddonData);
	// A heap for every thread that serves or waits for a container costs more than their turns.
	mallopt(M_ARENA_MAX, kHeaps);
	LoopfsServer::Register(env);
	const napi_property_descriptor functions[] = {
	    Export<LoopfsServer::Open>("openServer"),
	    Export<AttachMount>("attachMount"),
	    Export<PlaceHostMount>("placeHostMount"),
	    Export<Unmount>("unmount"),
	    Export<HostMountInfo>("hostMountInfo"),
	    Export<CallLoopControl>("callLoopControl"),
	    Export<ClearLoop>("clearLoop"),
	    Export<RescanLoop>("rescanLoop"),
	    Export<TakeImage>("takeImage"),
	    Export<AttachImage>("attachImage"),
	    Export<DropImage>("dropImage"),
	    Export<OfferImage>("offerImage"),
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
