// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_RECEIVER_WATCH_H
#define LOOPWARDEN_RECEIVER_WATCH_H

#include <memory>

#include "wrapped.h"

namespace loopwarden
{

class WatchThread;

struct WatchState {
	explicit WatchState(std::unique_ptr<WatchThread> thread);
	~WatchState();

	std::unique_ptr<WatchThread> thread;
};

class ReceiverWatch : public Wrapped<ReceiverWatch, WatchState>
{
      public:
	static constexpr char kName[] = "ReceiverWatch";
	static const napi_type_tag kTag;

	using Wrapped::Wrapped;
	static void Register(Napi::Env env);
	static Napi::Value Open(const Napi::CallbackInfo &info);

      private:
	Napi::Value SetProgram(const Napi::CallbackInfo &info);
};

} // namespace loopwarden

#endif
