// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_OBJECT_H
#define LOOPWARDEN_OBJECT_H

#include <memory>
#include <string>

#include "wrapped.h"

struct bpf_map;
struct bpf_object;
struct bpf_program;

namespace loopwarden
{

struct ObjectState {
	std::shared_ptr<struct bpf_object> object;
	enum { kOpen, kLoaded, kFailed } stage = kOpen;
};

class Object : public Wrapped<Object, ObjectState>
{
      public:
	static constexpr char kName[] = "BpfObject";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Programs(const Napi::CallbackInfo &info);
	Napi::Value Maps(const Napi::CallbackInfo &info);
	Napi::Value SetAutoload(const Napi::CallbackInfo &info);
	Napi::Value GetGlobal(const Napi::CallbackInfo &info);
	Napi::Value SetGlobal(const Napi::CallbackInfo &info);
	Napi::Value ReuseMap(const Napi::CallbackInfo &info);
	Napi::Value SetMaxEntries(const Napi::CallbackInfo &info);
	Napi::Value SetAutocreate(const Napi::CallbackInfo &info);
	Napi::Value Load(const Napi::CallbackInfo &info);
	Napi::Value GetMap(const Napi::CallbackInfo &info);
	Napi::Value GetProgram(const Napi::CallbackInfo &info);

	// EBUSY after `load`.
	void RequireUnloaded(Napi::Env env, const char *operation);
	void RequireLoaded(Napi::Env env, const char *operation);
	struct bpf_map *FindMap(Napi::Env env, const char *operation, const std::string &name);
	struct bpf_program *FindProgram(Napi::Env env, const char *operation,
					const std::string &name);
};

} // namespace loopwarden

#endif
