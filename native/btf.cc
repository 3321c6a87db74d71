// SPDX-License-Identifier: Apache-2.0
#include "btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "errors.h"

namespace loopwarden
{

constexpr char Btf::kName[];
const napi_type_tag Btf::kTag = {0x6c6f6f7077617264, 0x656e000000000006};

namespace
{

// Indexed by BTF_KIND_*.
constexpr const char *kKinds[] = {
    "void", "int",     "ptr",      "array",    "struct",   "union",  "enum",
    "fwd",  "typedef", "volatile", "const",    "restrict", "func",   "func_proto",
    "var",  "datasec", "float",    "decl_tag", "type_tag", "enum64",
};
constexpr uint32_t kKindCount = sizeof(kKinds) / sizeof(kKinds[0]);
static_assert(kKindCount == BTF_KIND_ENUM64 + 1, "one name a kind");

bool HasSize(uint32_t kind)
{
	switch (kind) {
	case BTF_KIND_INT:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FLOAT:
	case BTF_KIND_DATASEC:
		return true;
	default:
		return false;
	}
}

bool HasType(uint32_t kind)
{
	return kind != BTF_KIND_FWD && kind != BTF_KIND_ARRAY && !HasSize(kind);
}

class TypeDescriber
{
      public:
	TypeDescriber(Napi::Env env, const struct btf *btf, const struct btf_type *type)
	    : env_(env), btf_(btf), type_(type), kind_(btf_kind(type))
	{
	}

	Napi::Object Describe()
	{
		Napi::Object result = Napi::Object::New(env_);
		result.Set("kind", Text(kind_ < kKindCount ? kKinds[kind_] : "unknown"));
		result.Set("name", Name(type_->name_off));
		result.Set("size", Number(HasSize(kind_) ? type_->size : 0));
		const bool is_array = kind_ == BTF_KIND_ARRAY;
		uint32_t referred = is_array         ? btf_array(type_)->type
				    : HasType(kind_) ? type_->type
						     : 0;
		result.Set("type", Number(referred));
		result.Set("length", Number(is_array ? btf_array(type_)->nelems : 0));
		result.Set("signed", Napi::Boolean::New(env_, IsSigned()));
		result.Set("members", Members());
		result.Set("values", Values());
		return result;
	}

      private:
	Napi::Value Text(const char *text)
	{
		return Napi::String::New(env_, text);
	}
	Napi::Value Name(uint32_t offset)
	{
		const char *name = btf__name_by_offset(btf_, offset);
		return Text(name ? name : "");
	}
	Napi::Value Number(uint32_t number)
	{
		return Napi::Number::New(env_, number);
	}

	bool IsSigned()
	{
		if (kind_ == BTF_KIND_INT)
			return btf_int_encoding(type_) & BTF_INT_SIGNED;
		return btf_is_any_enum(type_) && btf_kflag(type_);
	}

	Napi::Object Member(Napi::Value name, uint32_t type, uint32_t bit_offset, uint32_t bits)
	{
		Napi::Object member = Napi::Object::New(env_);
		member.Set("name", name);
		member.Set("type", Number(type));
		member.Set("bitOffset", Napi::Number::New(env_, bit_offset));
		member.Set("bitfieldSize", Number(bits));
		return member;
	}

	Napi::Array Members()
	{
		Napi::Array members = Napi::Array::New(env_);
		const uint32_t count = btf_vlen(type_);
		for (uint32_t i = 0; i < count; i++) {
			if (btf_is_composite(type_)) {
				const struct btf_member *member = btf_members(type_) + i;
				members.Set(i, Member(Name(member->name_off), member->type,
						      btf_member_bit_offset(type_, i),
						      btf_member_bitfield_size(type_, i)));
			} else if (kind_ == BTF_KIND_FUNC_PROTO) {
				const struct btf_param *parameter = btf_params(type_) + i;
				members.Set(
				    i, Member(Name(parameter->name_off), parameter->type, 0, 0));
			} else if (kind_ == BTF_KIND_DATASEC) {
				const struct btf_var_secinfo *place = btf_var_secinfos(type_) + i;
				const struct btf_type *variable =
				    btf__type_by_id(btf_, place->type);
				members.Set(i,
					    Member(variable ? Name(variable->name_off) : Text(""),
						   place->type, place->offset * 8, 0));
			}
		}
		return members;
	}

	Napi::Array Values()
	{
		Napi::Array values = Napi::Array::New(env_);
		if (!btf_is_any_enum(type_))
			return values;
		for (uint32_t i = 0; i < btf_vlen(type_); i++) {
			uint32_t name;
			int64_t value;
			if (kind_ == BTF_KIND_ENUM) {
				const struct btf_enum *entry = btf_enum(type_) + i;
				name = entry->name_off;
				value = IsSigned() ? int64_t{entry->val}
						   : int64_t{static_cast<uint32_t>(entry->val)};
			} else {
				const struct btf_enum64 *entry = btf_enum64(type_) + i;
				name = entry->name_off;
				value = static_cast<int64_t>(btf_enum64_value(entry));
			}
			Napi::Object pair = Napi::Object::New(env_);
			pair.Set("name", Name(name));
			pair.Set("value", IsSigned() ? Napi::BigInt::New(env_, value)
						     : Napi::BigInt::New(
							   env_, static_cast<uint64_t>(value)));
			values.Set(i, pair);
		}
		return values;
	}

	Napi::Env env_;
	const struct btf *btf_;
	const struct btf_type *type_;
	uint32_t kind_;
};

} // namespace

void Btf::Register(Napi::Env env)
{
	Define(env, {
			Get<&Btf::Count>("count"),
			Call<&Btf::Find>("find"),
			Call<&Btf::Type>("type"),
		    });
}

Napi::Value Btf::Open(const Napi::CallbackInfo &info)
{
	std::string path = PathArgument(info, 0, "path");
	auto state = std::make_unique<BtfState>();
	if (!info[1].IsUndefined())
		state->base = Argument(info, 1, "base").btf;
	struct stat status;
	if (stat(path.c_str(), &status))
		ThrowErrno(info.Env(), "openBtf", errno, path);
	// Anything else could block, or never end.
	if (!S_ISREG(status.st_mode))
		ThrowErrno(info.Env(), "openBtf", S_ISDIR(status.st_mode) ? EISDIR : EINVAL, path);
	LogCapture capture;
	struct btf *btf = state->base ? btf__parse_split(path.c_str(), state->base.get())
				      : btf__parse(path.c_str(), nullptr);
	if (!btf)
		ThrowErrno(info.Env(), "openBtf", errno, path, capture.Text());
	state->btf = std::shared_ptr<struct btf>(btf, btf__free);
	return Make(info.Env(), std::move(state));
}

Napi::Value Btf::Count(const Napi::CallbackInfo &info)
{
	return Napi::Number::New(info.Env(), btf__type_cnt(state_->btf.get()) - 1);
}

Napi::Value Btf::Find(const Napi::CallbackInfo &info)
{
	std::string name = TextArgument(info, 0, "name");
	std::string kind = TextArgument(info, 1, "kind");
	for (uint32_t number = 1; number < kKindCount; number++) {
		if (kind != kKinds[number])
			continue;
		int32_t id = btf__find_by_name_kind(state_->btf.get(), name.c_str(), number);
		return Napi::Number::New(info.Env(), id > 0 ? id : 0);
	}
	ThrowType(info.Env(), "kind must be the name of a BTF kind");
}

Napi::Value Btf::Type(const Napi::CallbackInfo &info)
{
	uint32_t id = NumberArgument(info, 0, "id", 0, btf__type_cnt(state_->btf.get()) - 1);
	const struct btf_type *type = btf__type_by_id(state_->btf.get(), id);
	return TypeDescriber(info.Env(), state_->btf.get(), type).Describe();
}

} // namespace loopwarden
