// SPDX-License-Identifier: Apache-2.0
#ifndef LOOPWARDEN_UNIQUE_FD_H
#define LOOPWARDEN_UNIQUE_FD_H

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace loopwarden
{

class UniqueFd
{
      public:
	UniqueFd() = default;
	explicit UniqueFd(int fd) : fd_(fd)
	{
	}
	UniqueFd(UniqueFd &&other) noexcept : fd_(std::exchange(other.fd_, -1))
	{
	}
	UniqueFd &operator=(UniqueFd &&other) noexcept
	{
		if (this != &other)
			Reset(std::exchange(other.fd_, -1));
		return *this;
	}
	~UniqueFd()
	{
		Reset();
	}

	static UniqueFd DuplicateOf(int fd)
	{
		return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	}

	int Get() const
	{
		return fd_;
	}
	int Release()
	{
		return std::exchange(fd_, -1);
	}
	explicit operator bool() const
	{
		return fd_ >= 0;
	}
	void Reset(int fd = -1)
	{
		if (fd_ >= 0)
			close(fd_);
		fd_ = fd;
	}

      private:
	int fd_ = -1;
};

} // namespace loopwarden

#endif
