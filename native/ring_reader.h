// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_RING_READER_H
#define LOOPWARDEN_RING_READER_H

#include <memory>

#include "wrapped.h"

namespace loopwarden
{

class RingPump;

// Owns the pump's being open; the pump itself lives until libuv has let go of it.
struct RingState {
	explicit RingState(std::shared_ptr<RingPump> pump);
	~RingState();

	std::shared_ptr<RingPump> pump;
};

class RingReader : public Wrapped<RingReader, RingState>
{
      public:
	static constexpr char kName[] = "RingReader";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value Drain(const Napi::CallbackInfo &info);
	Napi::Value Stats(const Napi::CallbackInfo &info);
	Napi::Value Pause(const Napi::CallbackInfo &info);
	Napi::Value Resume(const Napi::CallbackInfo &info);
	Napi::Value Release(const Napi::CallbackInfo &info);
	Napi::Value Unreference(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
