#ifndef EPORE_TESTS_FUZZ_FUZZ_TARGET_H_
#define EPORE_TESTS_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// A target defines both. It checks what must hold for all bytes by CHECK, so that libFuzzer sees a
// failure too. See https://llvm.org/docs/LibFuzzer.html
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace epore {

// What the mutations begin with, and inputs that were failures once.
std::vector<std::string> fuzz_seeds();

}  // namespace epore

#endif  // EPORE_TESTS_FUZZ_FUZZ_TARGET_H_
