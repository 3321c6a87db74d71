// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_WRAPPED_H
#define LOOPWARDEN_WRAPPED_H

#include <napi.h>

#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "errors.h"

namespace loopwarden
{

// Per environment, because every worker thread has classes of its own.
struct AddonData {
	std::unordered_map<const void *, Napi::FunctionReference> constructors;
	// What the next constructor call takes; null whenever a script calls a constructor by
	// itself.
	void *pending = nullptr;
};

// C++ exceptions end here: none may pass into Node's C frames.
template <class Body> napi_value Guarded(napi_env env, Body body) noexcept
{
	try {
		return body();
	} catch (const Napi::Error &error) {
		error.ThrowAsJavaScriptException();
	} catch (const std::exception &error) {
		napi_throw_error(env, "ERR_NATIVE", error.what());
	}
	return nullptr;
}

// One JavaScript class over one native resource, `State`. Closed means that the state is gone. T
// declares kName and kTag. ObjectWrap alone would take any wrapped object for `this` in an
// accessor, so every receiver is checked by tag.
template <class T, class State> class Wrapped : public Napi::ObjectWrap<T>
{
      public:
	using Method = Napi::Value (T::*)(const Napi::CallbackInfo &);
	using Property = Napi::ClassPropertyDescriptor<T>;

	explicit Wrapped(const Napi::CallbackInfo &info) : Napi::ObjectWrap<T>(info)
	{
		AddonData *data = info.Env().template GetInstanceData<AddonData>();
		void *pending = std::exchange(data->pending, nullptr);
		if (!pending)
			ThrowType(info.Env(), std::string("Illegal constructor: ") + T::kName);
		state_ = std::move(*static_cast<std::unique_ptr<State> *>(pending));
		info.This().template As<Napi::Object>().TypeTag(&T::kTag);
	}

	static void Define(Napi::Env env, std::vector<Property> properties)
	{
		properties.push_back(Describe<&Wrapped::Close, false>("close"));
		Napi::Function constructor = T::DefineClass(env, T::kName, properties);
		env.GetInstanceData<AddonData>()->constructors[&T::kTag] =
		    Napi::Persistent(constructor);
	}

	static Napi::Value Make(Napi::Env env, std::unique_ptr<State> state)
	{
		AddonData *data = env.GetInstanceData<AddonData>();
		data->pending = &state;
		Napi::Object made = data->constructors.at(&T::kTag).New({});
		data->pending = nullptr;
		return made;
	}

	// Null unless the value is an object of this very class.
	static T *Of(const Napi::Value &value)
	{
		if (!value.IsObject())
			return nullptr;
		Napi::Object object = value.As<Napi::Object>();
		return object.CheckTypeTag(&T::kTag) ? T::Unwrap(object) : nullptr;
	}

	// The open state of an argument.
	static State &Argument(const Napi::CallbackInfo &info, size_t index, const char *name)
	{
		T *wrapped = Of(info[index]);
		if (!wrapped)
			ThrowType(info.Env(), std::string(name) + " must be a " + T::kName);
		if (!wrapped->state_)
			ThrowClosed(info.Env(), T::kName);
		return *wrapped->state_;
	}

	State *Opened()
	{
		return state_.get();
	}

	// For resources that act by themselves: a forgotten one goes on until it is closed.
	void StayAlive()
	{
		this->Ref();
		held_ = true;
	}

      protected:
	template <Method method> static Property Call(const char *name)
	{
		return Describe<method, true>(name);
	}
	template <Method method> static Property Get(const char *name)
	{
		napi_property_descriptor property = {};
		property.utf8name = name;
		property.getter = Invoke<method, true>;
		property.attributes = napi_enumerable;
		property.data = const_cast<char *>(name);
		return property;
	}

	std::unique_ptr<State> state_;

      private:
	template <auto method, bool must_be_open> static Property Describe(const char *name)
	{
		napi_property_descriptor property = {};
		property.utf8name = name;
		property.method = Invoke<method, must_be_open>;
		property.attributes = napi_default_method;
		property.data = const_cast<char *>(name);
		return property;
	}

	template <auto method, bool must_be_open>
	static napi_value Invoke(napi_env env, napi_callback_info raw) noexcept
	{
		return Guarded(env, [&]() -> napi_value {
			Napi::CallbackInfo info(env, raw);
			const char *name = static_cast<const char *>(info.Data());
			T *self = Of(info.This());
			if (!self)
				ThrowType(env, std::string(T::kName) + "." + name +
						   ": called on another object");
			if (must_be_open && !self->state_)
				ThrowClosed(env, (std::string(T::kName) + "." + name).c_str());
			return (self->*method)(info);
		});
	}

	Napi::Value Close(const Napi::CallbackInfo &info)
	{
		state_.reset();
		if (std::exchange(held_, false))
			this->Unref();
		return info.Env().Undefined();
	}

	bool held_ = false;
};

} // namespace loopwarden

#endif
