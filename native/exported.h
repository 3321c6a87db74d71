// SPDX-License-Identifier: Apache-2.0
/* A function of a module, as JavaScript sees it: what it throws arrives there, whatever it is. */
#ifndef LOOPWARDEN_EXPORTED_H
#define LOOPWARDEN_EXPORTED_H

#include <napi.h>

#include "wrapped.h"

namespace loopwarden
{

template <Napi::Value (*function)(const Napi::CallbackInfo &)>
napi_value Invoke(napi_env env, napi_callback_info raw) noexcept
{
	return Guarded(env, [&]() -> napi_value {
		Napi::CallbackInfo info(env, raw);
		return function(info);
	});
}

template <Napi::Value (*function)(const Napi::CallbackInfo &)>
napi_property_descriptor Export(const char *name)
{
	napi_property_descriptor property = {};
	property.utf8name = name;
	property.method = Invoke<function>;
	property.attributes = napi_enumerable;
	return property;
}

} // namespace loopwarden

#endif
