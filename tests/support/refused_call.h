#ifndef EPORE_TESTS_SUPPORT_REFUSED_CALL_H_
#define EPORE_TESTS_SUPPORT_REFUSED_CALL_H_

namespace epore {

// From now on the system call of that number (SYS_...) fails with `error` in this thread and in
// those that it starts; there is no way back, so it is for a child process. False: this system has
// no seccomp filters.
bool refuse_call(long number, int error);

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_REFUSED_CALL_H_
