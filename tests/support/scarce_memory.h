#ifndef EPORE_TESTS_SUPPORT_SCARCE_MEMORY_H_
#define EPORE_TESTS_SUPPORT_SCARCE_MEMORY_H_

namespace epore {

// Makes an allocation of this thread fail: linking this library replaces operator new by one that
// throws std::bad_alloc when it is told to, in every build.
//
//   ScarceMemory::fail(3);  // the third `new` of this thread from now on throws; then all is well
//   connection.send(bytes);
//   const bool was_reached = ScarceMemory::stop();
//
// Threads: all of it is about the calling thread.
struct ScarceMemory {
  static void fail(int k);

  // From now on every `new` of this thread throws.
  static void fail_all();

  // Nothing fails any more. Whether an allocation has failed.
  static bool stop();
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_SCARCE_MEMORY_H_
