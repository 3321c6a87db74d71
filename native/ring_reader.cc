// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <linux/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "arguments.h"
#include "bpf_fd.h"
#include "errors.h"
#include "map.h"
#include "unique_fd.h"
#include "uv_poll.h"

namespace loopwarden
{

constexpr char RingReader::kName[];
const napi_type_tag RingReader::kTag = {0x6c6f6f7077617264, 0x656e000000000007};

namespace
{

constexpr size_t kBatchBytes = 1 << 20;

// Records as they are handed over: length, padding, bytes up to a multiple of 8.
struct Batch {
	std::vector<uint8_t> bytes;
	uint32_t count = 0;

	static size_t Needed(size_t size)
	{
		return 8 + (size + 7) / 8 * 8;
	}
	void Append(const void *record, uint32_t size)
	{
		size_t at = bytes.size();
		bytes.resize(at + Needed(size));
		memcpy(bytes.data() + at, &size, sizeof(size));
		memcpy(bytes.data() + at + 8, record, size);
		count++;
	}
};

// The ring as kernel/bpf/ringbuf.c lays it out: the consumer's page, which is ours to write, the
// producer's, and the records twice in a row, so that none is ever cut.
class RingMapping
{
      public:
	int Map(int fd, uint32_t size)
	{
		page_ = sysconf(_SC_PAGESIZE);
		mask_ = size - 1;
		shared_bytes_ = page_ + 2 * static_cast<size_t>(size);
		consumer_ = mmap(nullptr, page_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (consumer_ == MAP_FAILED)
			return errno;
		producer_ = mmap(nullptr, shared_bytes_, PROT_READ, MAP_SHARED, fd, page_);
		return producer_ == MAP_FAILED ? errno : 0;
	}
	~RingMapping()
	{
		if (consumer_ != MAP_FAILED)
			munmap(consumer_, page_);
		if (producer_ != MAP_FAILED)
			munmap(producer_, shared_bytes_);
	}
	uint64_t Consumer() const
	{
		return __atomic_load_n(static_cast<const uint64_t *>(consumer_), __ATOMIC_ACQUIRE);
	}
	void SetConsumer(uint64_t position)
	{
		__atomic_store_n(static_cast<uint64_t *>(consumer_), position, __ATOMIC_RELEASE);
	}
	uint64_t Producer() const
	{
		return __atomic_load_n(static_cast<const uint64_t *>(producer_), __ATOMIC_ACQUIRE);
	}
	// The length of the record, with its flags.
	uint32_t LengthAt(uint64_t position) const
	{
		return __atomic_load_n(reinterpret_cast<const uint32_t *>(At(position)),
				       __ATOMIC_ACQUIRE);
	}
	const uint8_t *RecordAt(uint64_t position) const
	{
		return At(position) + BPF_RINGBUF_HDR_SZ;
	}

      private:
	const uint8_t *At(uint64_t position) const
	{
		return static_cast<const uint8_t *>(producer_) + page_ + (position & mask_);
	}

	size_t page_ = 0;
	size_t shared_bytes_ = 0;
	uint64_t mask_ = 0;
	void *consumer_ = MAP_FAILED;
	void *producer_ = MAP_FAILED;
};

} // namespace

class RingPump : public std::enable_shared_from_this<RingPump>
{
      public:
	RingPump(Napi::Env env, Napi::Function on_batch)
	    : env_(env), on_batch_(Napi::Persistent(on_batch))
	{
	}

	void Start(const MapState &map);
	void Close();
	void Unref();
	void Pause();
	void Resume();

	enum class Caller { kEventLoop, kScript };
	// One batch: its number of records, or -1 with an exception pending.
	int64_t Pump(Caller caller);
	void Release(uint64_t position);

	uint64_t AvailableBytes() const
	{
		return ring_.Producer() - ring_.Consumer();
	}
	uint64_t UnreadBytes() const
	{
		return ring_.Producer() - read_;
	}
	uint32_t SizeBytes() const
	{
		return size_;
	}

      private:
	static void OnReadable(struct uv_poll_s *poll, int status, int events) noexcept;
	static void OnPollClosed(struct uv_handle_s *handle) noexcept;
	static void OnEnvironmentEnds(napi_async_cleanup_hook_handle hook, void *pump) noexcept;

	Batch NextBatch(uint64_t target);
	int UpdatePoll();
	bool Deliver(Caller caller, const Batch &batch);
	void PumpOrRaise() noexcept;
	void RaiseFatal(int error);

	Napi::Env env_;
	Napi::FunctionReference on_batch_;
	std::unique_ptr<Napi::AsyncContext> context_;
	UniqueFd map_;
	RingMapping ring_;
	uint32_t size_ = 0;
	// Up to here it is read; up to the consumer's position it is released too.
	uint64_t read_ = 0;
	// End of the last batch. From it to read_ there are discarded records alone, which nobody is
	// told of and nobody releases.
	uint64_t delivered_ = 0;
	struct uv_poll_s *poll_ = nullptr;
	napi_async_cleanup_hook_handle hook_ = nullptr;
	bool paused_ = false;
	bool closed_ = false;
};

void RingPump::Start(const MapState &map)
{
	map_ = Duplicate(env_, "openRingReader", map.fd.Get());
	size_ = map.max_entries;
	int error = ring_.Map(map_.Get(), size_);
	if (error)
		ThrowErrno(env_, "openRingReader", error, map.name);
	read_ = delivered_ = ring_.Consumer();
	struct uv_loop_s *loop = nullptr;
	if (napi_get_uv_event_loop(env_, &loop) != napi_ok ||
	    strcmp(uv_handle_type_name(kUvPoll), "poll") != 0)
		ThrowReason(env_, "openRingReader", ENOSYS, "", "this Node has another libuv");
	context_ = std::make_unique<Napi::AsyncContext>(env_, "loopwarden:ring");
	poll_ = static_cast<struct uv_poll_s *>(calloc(1, uv_handle_size(kUvPoll)));
	if (!poll_)
		ThrowErrno(env_, "openRingReader", ENOMEM);
	error = uv_poll_init(loop, poll_, map_.Get());
	if (error) {
		free(poll_);
		poll_ = nullptr;
		ThrowErrno(env_, "openRingReader", -error);
	}
	// From here on only OnPollClosed may free the handle, so it keeps the pump.
	uv_handle_set_data(reinterpret_cast<struct uv_handle_s *>(poll_),
			   new std::shared_ptr<RingPump>(shared_from_this()));
	napi_add_async_cleanup_hook(env_, OnEnvironmentEnds, this, &hook_);
	error = UpdatePoll();
	if (error) {
		Close();
		ThrowErrno(env_, "openRingReader", -error);
	}
}

void RingPump::Close()
{
	if (closed_)
		return;
	closed_ = true;
	on_batch_.Reset();
	context_.reset();
	if (poll_) {
		uv_poll_stop(poll_);
		uv_close(reinterpret_cast<struct uv_handle_s *>(poll_), OnPollClosed);
		poll_ = nullptr;
	}
}

void RingPump::OnPollClosed(struct uv_handle_s *handle) noexcept
{
	auto *pump = static_cast<std::shared_ptr<RingPump> *>(uv_handle_get_data(handle));
	// Node waits for this before it takes the loop of a worker thread away.
	napi_remove_async_cleanup_hook((*pump)->hook_);
	delete pump;
	free(handle);
}

void RingPump::OnEnvironmentEnds(napi_async_cleanup_hook_handle, void *pump) noexcept
{
	static_cast<RingPump *>(pump)->Close();
}

void RingPump::Unref()
{
	if (poll_)
		uv_unref(reinterpret_cast<struct uv_handle_s *>(poll_));
}

void RingPump::Pause()
{
	paused_ = true;
	UpdatePoll();
}

void RingPump::Resume()
{
	paused_ = false;
	int error = UpdatePoll();
	if (error)
		ThrowErrno(env_, "resume", -error);
}

// The kernel says "readable" as long as anything is unreleased, and wakes only for a record that finds
// everything released. So while records are read and not released nothing is waited for: their release
// looks for more, and nothing is read faster than it is dealt with.
int RingPump::UpdatePoll()
{
	if (!poll_)
		return 0;
	bool wanted = !paused_ && read_ == ring_.Consumer();
	// A second start would cost system calls.
	if (wanted == !!uv_is_active(reinterpret_cast<struct uv_handle_s *>(poll_)))
		return 0;
	return wanted ? uv_poll_start(poll_, kUvReadable, OnReadable) : uv_poll_stop(poll_);
}

void RingPump::Release(uint64_t position)
{
	if (position == delivered_)
		position = read_;
	if (position < ring_.Consumer() || position > read_)
		ThrowRange(env_, "position is not between what is released and what is read");
	ring_.SetConsumer(position);
	// Before the next look at the producer: either it finds all released and wakes us, or we see its
	// record.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	int error = UpdatePoll();
	if (error)
		ThrowErrno(env_, "release", -error);
}

void RingPump::OnReadable(struct uv_poll_s *poll, int status, int) noexcept
{
	auto pump = *static_cast<std::shared_ptr<RingPump> *>(
	    uv_handle_get_data(reinterpret_cast<struct uv_handle_s *>(poll)));
	napi_handle_scope scope;
	if (napi_open_handle_scope(pump->env_, &scope) != napi_ok)
		return;
	if (status < 0) {
		uv_poll_stop(poll);
		pump->RaiseFatal(-status);
	} else {
		pump->PumpOrRaise();
	}
	napi_close_handle_scope(pump->env_, scope);
}

void RingPump::PumpOrRaise() noexcept
{
	try {
		Pump(Caller::kEventLoop);
		UpdatePoll();
	} catch (const Napi::Error &error) {
		// The next attempt would fail as well, at once.
		Pause();
		napi_fatal_exception(env_, error.Value());
	} catch (const std::exception &) {
		Pause();
		RaiseFatal(ENOMEM);
	}
}

void RingPump::RaiseFatal(int error)
{
	try {
		ThrowErrno(env_, "ring", error);
	} catch (const Napi::Error &thrown) {
		napi_fatal_exception(env_, thrown.Value());
	}
}

Batch RingPump::NextBatch(uint64_t target)
{
	Batch batch;
	// Another reader has released what this one has not read: its bytes may be others by now.
	if (static_cast<int64_t>(ring_.Consumer() - read_) > 0)
		read_ = delivered_ = ring_.Consumer();
	uint64_t at = read_;
	while (static_cast<int64_t>(target - at) > 0) {
		uint32_t length = ring_.LengthAt(at);
		// Reserved, and not written yet.
		if (length & BPF_RINGBUF_BUSY_BIT)
			break;
		uint32_t size = length & ~BPF_RINGBUF_DISCARD_BIT;
		size_t step = Batch::Needed(size);
		if (step > target - at || step > size_)
			ThrowReason(env_, "ring", EBADMSG, "", "a record passes the ring's end");
		if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
			if (batch.count && batch.bytes.size() + step > kBatchBytes)
				break;
			batch.Append(ring_.RecordAt(at), size);
		}
		at += step;
	}
	if (batch.count)
		delivered_ = at;
	else if (at != read_ && static_cast<int64_t>(ring_.Consumer() - delivered_) >= 0)
		ring_.SetConsumer(at);
	read_ = at;
	return batch;
}

int64_t RingPump::Pump(Caller caller)
{
	Batch batch = NextBatch(ring_.Producer());
	if (batch.count == 0)
		return 0;
	// The callback may close the reader or drain it itself: nothing of ours is under way here.
	return Deliver(caller, batch) ? batch.count : -1;
}

bool RingPump::Deliver(Caller caller, const Batch &batch)
{
	napi_handle_scope scope;
	if (napi_open_handle_scope(env_, &scope) != napi_ok)
		return false;
	napi_value global, arguments[3];
	napi_value callback = on_batch_.Value();
	napi_status status = napi_get_global(env_, &global);
	if (status == napi_ok)
		status = napi_create_buffer_copy(env_, batch.bytes.size(), batch.bytes.data(),
						 nullptr, &arguments[0]);
	if (status == napi_ok)
		status = napi_create_uint32(env_, batch.count, &arguments[1]);
	if (status == napi_ok)
		status = napi_create_bigint_uint64(env_, read_, &arguments[2]);
	if (status == napi_ok && caller == Caller::kScript)
		status = napi_call_function(env_, global, callback, 3, arguments, nullptr);
	else if (status == napi_ok)
		status =
		    napi_make_callback(env_, *context_, global, callback, 3, arguments, nullptr);
	// A script that drains gets the exception itself; the event loop has nobody to give it to.
	if (status == napi_pending_exception && caller == Caller::kEventLoop) {
		napi_value thrown;
		if (napi_get_and_clear_last_exception(env_, &thrown) == napi_ok)
			napi_fatal_exception(env_, thrown);
	}
	napi_close_handle_scope(env_, scope);
	return status == napi_ok;
}

RingState::RingState(std::shared_ptr<RingPump> opened) : pump(std::move(opened))
{
}

RingState::~RingState()
{
	pump->Close();
}

void RingReader::Register(Napi::Env env)
{
	Define(env, {
			Call<&RingReader::Drain>("drain"),
			Call<&RingReader::Stats>("stats"),
			Call<&RingReader::Pause>("pause"),
			Call<&RingReader::Resume>("resume"),
			Call<&RingReader::Unreference>("unref"),
			Call<&RingReader::Release>("release"),
		    });
}

Napi::Value RingReader::Open(const Napi::CallbackInfo &info)
{
	MapState &map = Map::Argument(info, 0, "map");
	Napi::Function on_batch = FunctionArgument(info, 1, "onBatch");
	if (map.type != BPF_MAP_TYPE_RINGBUF)
		ThrowReason(info.Env(), "openRingReader", EINVAL, map.name, "not a ring buffer");
	auto pump = std::make_shared<RingPump>(info.Env(), on_batch);
	pump->Start(map);
	Napi::Value reader = Make(info.Env(), std::make_unique<RingState>(pump));
	Of(reader)->StayAlive();
	return reader;
}

Napi::Value RingReader::Drain(const Napi::CallbackInfo &info)
{
	// The callback may close this very reader.
	std::shared_ptr<RingPump> pump = state_->pump;
	int64_t records = pump->Pump(RingPump::Caller::kScript);
	if (records < 0)
		return Napi::Value();
	return Napi::Number::New(info.Env(), static_cast<double>(records));
}

Napi::Value RingReader::Stats(const Napi::CallbackInfo &info)
{
	Napi::Object stats = Napi::Object::New(info.Env());
	stats.Set(
	    "availableBytes",
	    Napi::Number::New(info.Env(), static_cast<double>(state_->pump->AvailableBytes())));
	stats.Set("unreadBytes",
		  Napi::Number::New(info.Env(), static_cast<double>(state_->pump->UnreadBytes())));
	stats.Set("sizeBytes", Napi::Number::New(info.Env(), state_->pump->SizeBytes()));
	return stats;
}

Napi::Value RingReader::Pause(const Napi::CallbackInfo &info)
{
	state_->pump->Pause();
	return info.Env().Undefined();
}

Napi::Value RingReader::Resume(const Napi::CallbackInfo &info)
{
	state_->pump->Resume();
	return info.Env().Undefined();
}

Napi::Value RingReader::Release(const Napi::CallbackInfo &info)
{
	if (!info[0].IsBigInt())
		ThrowType(info.Env(), "position must be a bigint");
	bool lossless = false;
	uint64_t position = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
	if (!lossless)
		ThrowRange(info.Env(), "position must have 64 bits and no sign");
	state_->pump->Release(position);
	return info.Env().Undefined();
}

Napi::Value RingReader::Unreference(const Napi::CallbackInfo &info)
{
	state_->pump->Unref();
	return info.Env().Undefined();
}

} // namespace loopwarden
