// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_LINKER_H
#define LOOPWARDEN_LINKER_H

#include <memory>
#include <string>

#include "wrapped.h"

struct bpf_linker;

namespace loopwarden
{

struct LinkerState {
	~LinkerState();

	struct bpf_linker *linker = nullptr;
	std::string output_path;
	// Finalized, or broken by a file that couldn't be joined: libbpf's state is then undefined.
	bool ended = false;
};

class Linker : public Wrapped<Linker, LinkerState>
{
      public:
	static constexpr char kName[] = "BpfLinker";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value AddFile(const Napi::CallbackInfo &info);
	Napi::Value Finalize(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
