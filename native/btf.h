// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_BTF_H
#define LOOPWARDEN_BTF_H

#include <memory>

#include "wrapped.h"

struct btf;

namespace loopwarden
{

struct BtfState {
	// Split BTF points into its base, which so outlives its own handle.
	std::shared_ptr<struct btf> base;
	std::shared_ptr<struct btf> btf;

	~BtfState()
	{
		btf.reset();
	}
};

class Btf : public Wrapped<Btf, BtfState>
{
      public:
	static constexpr char kName[] = "Btf";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Count(const Napi::CallbackInfo &info);
	Napi::Value Find(const Napi::CallbackInfo &info);
	Napi::Value Type(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
