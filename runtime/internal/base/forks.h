#ifndef EPORE_RUNTIME_INTERNAL_BASE_FORKS_H_
#define EPORE_RUNTIME_INTERNAL_BASE_FORKS_H_

#include <atomic>
#include <cstdint>

namespace epore::internal {

// The number of fork(2)s that led to this process since count_forks(). A child has none of its
// parent's threads, so an object that has threads compares the number with that of its start.
// Written in the child alone, before fork() returns there, so relaxed.
inline constinit std::atomic<std::uint32_t> forks{0};

// Counts from now on. Children of vfork(2) and of the bare system call are not counted.
void count_forks();

}  // namespace epore::internal

#endif  // EPORE_RUNTIME_INTERNAL_BASE_FORKS_H_
