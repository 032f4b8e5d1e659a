#ifndef EPORE_RUNTIME_WHOLE_FILE_H_
#define EPORE_RUNTIME_WHOLE_FILE_H_

#include <cstddef>
#include <string>

#include "epore/runtime/lane.h"
#include "epore/runtime/task.h"

namespace epore {

// What read_file() takes at most, unless its caller says otherwise.
inline constexpr std::size_t kMostOfAFile = std::size_t{64} * 1024 * 1024;

// Reads a whole regular file, on a thread of `lane`, as blocking() does.
//
//   const std::string text = co_await epore::read_file("/etc/hosts");
//
// Errors name the path and the call: those of File::open() and pread(2); ResourceExhausted if the
// file has more than `limit` bytes; those of blocking().
Task<std::string> read_file(std::string path, Lane lane = Lane(), std::size_t limit = kMostOfAFile);

// Makes `bytes` the whole contents of a file, which is made (mode 0666 less the umask) or
// overwritten, on a thread of `lane`. Who reads the file meanwhile sees a part of it, and so does
// everybody after an error in the middle. Returns when the system has the bytes: it writes them to
// the disk later, see fsync(2).
//
// Errors name the path and the call: those of open(2), write(2) and close(2); InvalidArgument if
// the path has a zero byte; those of blocking().
Task<> write_file(std::string path, std::string bytes, Lane lane = Lane());

}  // namespace epore

#endif  // EPORE_RUNTIME_WHOLE_FILE_H_
