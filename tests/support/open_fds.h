#ifndef EPORE_TESTS_SUPPORT_OPEN_FDS_H_
#define EPORE_TESTS_SUPPORT_OPEN_FDS_H_

#include <source_location>
#include <string>
#include <vector>

namespace epore {

// This process's open descriptors, sorted, each with what it is: "7 socket:[4711]".
std::vector<std::string> open_fds();

// Fails the test if the set of open descriptors differs between its two ends.
//
//   { ExpectNoFdLeak check; Poll::create(options).IgnoreError(); }
//
// Other threads must not open or close any meanwhile.
class ExpectNoFdLeak {
 public:
  explicit ExpectNoFdLeak(std::source_location where = std::source_location::current())
      : where_(where), before_(open_fds()) {}
  ExpectNoFdLeak(const ExpectNoFdLeak&) = delete;
  ExpectNoFdLeak& operator=(const ExpectNoFdLeak&) = delete;
  ~ExpectNoFdLeak();

 private:
  std::source_location where_;
  std::vector<std::string> before_;
};

}  // namespace epore

#endif  // EPORE_TESTS_SUPPORT_OPEN_FDS_H_
