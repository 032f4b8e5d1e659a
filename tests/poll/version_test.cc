#include "epore/poll/version.h"

#include <string>

#include "gtest/gtest.h"

namespace epore {
namespace {

TEST(Version, OfTheLibraryIsThatOfItsHeaders) {
  EXPECT_EQ(version(), std::to_string(EPORE_VERSION_MAJOR) + "." +
                           std::to_string(EPORE_VERSION_MINOR) + "." +
                           std::to_string(EPORE_VERSION_PATCH));
}

}  // namespace
}  // namespace epore
