#include "tests/bench/arena/program_size.h"

#include <elf.h>

#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/programs.h"

namespace epore::bench {

absl::StatusOr<ProgramSize> ProgramSize::of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header;
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no 64-bit ELF file"));
  }
  ProgramSize size = {.name = path.substr(path.rfind('/') + 1)};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    file.seekg(static_cast<std::streamoff>(header.e_phoff + i * header.e_phentsize));
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) {
      return absl::InvalidArgumentError(absl::StrCat(path, " ends before its program headers do"));
    }
    if (segment.p_type == PT_LOAD) size.loaded_bytes += segment.p_filesz;
  }
  return size;
}

absl::StatusOr<ProgramSize> ProgramSize::of_contender(std::string_view name) {
  const absl::StatusOr<std::string> path = find_program(absl::StrCat("echo_", name));
  if (!path.ok()) return path.status();
  return of_file(*path);
}

}  // namespace epore::bench
