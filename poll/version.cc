#include "epore/poll/version.h"

#define EPORE_DOTTED(major, minor, patch) \
  EPORE_TEXT(major) "." EPORE_TEXT(minor) "." EPORE_TEXT(patch)
#define EPORE_TEXT(number) #number

namespace epore {

const char* version() {
  return EPORE_DOTTED(EPORE_VERSION_MAJOR, EPORE_VERSION_MINOR, EPORE_VERSION_PATCH);
}

}  // namespace epore
