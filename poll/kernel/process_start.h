#ifndef EPORE_POLL_KERNEL_PROCESS_START_H_
#define EPORE_POLL_KERNEL_PROCESS_START_H_

#include <array>
#include <cstdint>

namespace epore {

// What a child does between its start and exec(3), in this order.
enum class ProcessStep : std::uint8_t { clone, group, folder, streams, descriptors, exec };

// A ProcessStart says how Kernel::spawn() starts a program. All that it points to is borrowed.
struct ProcessStart {
  // The files that may be the program, tried one after the other as execvp(3) does. Ends with null.
  const char* const* files;
  const char* const* arguments;    // with the name of the program; ends with null
  const char* const* environment;  // "NAME=VALUE"; ends with null
  const char* folder = nullptr;    // where it starts; null: here

  // What becomes the child's 0, 1 and 2. -1 leaves it as it is here. Otherwise it is more than 2.
  // The child has no other descriptor.
  std::array<int, 3> streams = {-1, -1, -1};

  bool leads_group = false;  // of a process group of its own, setpgid(2)

  ProcessStep failed = ProcessStep::clone;  // stored by spawn()
};

}  // namespace epore

#endif  // EPORE_POLL_KERNEL_PROCESS_START_H_
