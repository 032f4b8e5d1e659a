#ifndef EPORE_TESTS_SUPPORT_THREAD_NAME_H_
#define EPORE_TESTS_SUPPORT_THREAD_NAME_H_

#include <pthread.h>

#include <string>

namespace epore {

// The calling thread's: "epore-poll0", "epore-worker1", "epore-watchdog" for a runtime's.
inline std::string thread_name() {
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_THREAD_NAME_H_
