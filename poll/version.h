#ifndef EPORE_POLL_VERSION_H_
#define EPORE_POLL_VERSION_H_

// The version of these headers. Every build and package takes it from here; docs/versions.md says
// what a change of each number means.
#define EPORE_VERSION_MAJOR 0
#define EPORE_VERSION_MINOR 1
#define EPORE_VERSION_PATCH 0

// The number in the name of the shared library, libepore.so.0. It grows with each release that
// breaks programs that were built before.
#define EPORE_ABI_VERSION 0

namespace epore {

// The version of the library that the program runs with, as "0.1.0". It differs from the macros
// above where a shared library was replaced after the program was built. May be called from any
// thread; the string is never freed.
const char* version();

}  // namespace epore

#endif  // EPORE_POLL_VERSION_H_
