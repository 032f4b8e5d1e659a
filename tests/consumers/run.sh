#!/bin/bash
# Builds the same tiny service (service.cc) in each way to use epore, in empty folders and from a copy of the tree, and
# runs it. Checks also what the shared library exports, that its ABI is the accepted one, and that public headers give no
# warnings. Prints a line for each and ends with "consumers: N passed, N failed". Arguments choose some; --list names them.
#
#   --accept-abi       writes the ABI of the shared library as it is now to cmake/libepore.abi
#   EPORE_CACHE=DIR    where Abseil's source is (bazelw has unpacked it) and what was built is kept
set -uo pipefail
tree=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")

all=(warnings mistakes exports abi find_package find_static pkg_config plugin compilers add_subdirectory old_abseil bazel) # libcxx: by name
[[ ${1:-} != --list ]] || { printf '%s\n' "${all[@]}"; exit; }

cache=$(readlink -m "${EPORE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/epore}")
home=$cache/consumers
source=$cache/src/abseil-20240722.0
prefix=$home/abseil-20240722.0 # what is built once: Abseil, installed
work=$home/work                # emptied each time; always the same, so that ccache knows what it sees
version=$(sed -nE 's/^#define EPORE_VERSION_[A-Z]+ ([0-9]+)$/\1/p' "$tree/poll/version.h" | paste -sd.)
IFS=. read -r major minor _ <<<"$version"
strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)

export CCACHE_DIR=$home/ccache CCACHE_BASEDIR=$work CCACHE_MAXSIZE=500M
export CMAKE_GENERATOR=Ninja CMAKE_CXX_COMPILER_LAUNCHER=ccache
export CXX=g++ CXXFLAGS=-w # warnings have a check of their own
unset CC LDFLAGS
exec 7>&1 # what is to be seen although the check has passed
export LD_LIBRARY_PATH=$prefix/lib:$work/shared/lib CMAKE_PREFIX_PATH=$prefix

# --- what they need ---------------------------------------------------------------------------------------------

set_up() {
  local package missing=() sudo=
  for package in cmake ninja-build ccache pkg-config g++ clang-19 abigail-tools; do
    [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null) == ?i* ]] || missing+=("$package")
  done
  if ((${#missing[@]})); then
    [[ $(id -u) == 0 ]] || sudo=sudo
    $sudo apt-get -qq update && $sudo apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null || return
  fi
  [[ -e $prefix/complete ]] || install_abseil
}

# Two minutes on two cores, once.
install_abseil() {
  cmake -S "$source" -B "$work/abseil" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DCMAKE_CXX_STANDARD=20 \
    -DABSL_PROPAGATE_CXX_STD=ON -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_PREFIX="$prefix" &&
    cmake --build "$work/abseil" && cmake --install "$work/abseil" && touch "$prefix/complete"
}

# An unpacked copy: what git knows, with the changes of the working tree.
unpack() {
  mkdir -p "$1" && git -C "$tree" ls-files -z --cached --others --exclude-standard | tar -C "$tree" --null --files-from=- --ignore-failed-read -c | tar -C "$1" -x
}

begin() { # WAY: an empty folder with the service and what its way has
  rm -rf "${work:?}/$1" && mkdir -p "$work/$1" && cd "$work/$1" && cp "$tree/tests/consumers/service.cc" . || return
  [[ ! -d $tree/tests/consumers/$1 ]] || cp -r "$tree/tests/consumers/$1/." .
}

runs() { [[ $("$@") == "epore $version" ]]; }

# --- the ways ---------------------------------------------------------------------------------------------------

install_kind() { # KIND BUILD_SHARED_LIBS
  rm -rf "${work:?}/$1" "$work/build_$1"
  [[ $1 != shared ]] || local -x CXXFLAGS="$CXXFLAGS -g" # which describes the types to abidw
  cmake -S "$work/epore" -B "$work/build_$1" -DBUILD_SHARED_LIBS="$2" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_INSTALL_PREFIX="$work/$1" && cmake --build "$work/build_$1" && cmake --install "$work/build_$1"
}
install() { install_kind shared ON && install_kind static OFF; }

# Each public header, by two compilers, in C++20 and C++23, with RTTI and without; and two programs with the optimiser,
# which sees more.
warnings() {
  begin warnings && cp "$tree/examples/echo.cc" . || return
  local header compiler
  for header in "$tree"/{poll,runtime,runtime/testing}/*.h; do echo "#include \"epore${header#"$tree"}\""; done >headers.cc
  for compiler in "g++ -std=c++20" "g++ -std=c++23 -fno-rtti" "clang++-19 -std=c++20 -fno-rtti" "clang++-19 -std=c++23"; do
    $compiler "${strict[@]}" -I "$work/shared/include" -isystem "$prefix/include" -fsyntax-only headers.cc || return
    for file in service.cc echo.cc; do
      $compiler "${strict[@]}" -O2 -I "$work/shared/include" -isystem "$prefix/include" -c -o program.o $file || return
    done
  done
}

# Each mistake of mistakes.cc does not compile, and the compilers say the sentence that is beside it.
mistakes() {
  begin mistakes && cp "$tree/tests/consumers/mistakes.cc" . || return
  local compiler number sentence count=0 # of the sentences, by each compiler
  local flags=(-std=c++20 -I "$work/shared/include" -isystem "$prefix/include" -fsyntax-only mistakes.cc)
  for compiler in g++ clang++-19; do
    $compiler -Wall -Wextra -Werror "${flags[@]}" || return
    while IFS=: read -r number sentence; do
      ! $compiler -DMISTAKE="$number" "${flags[@]}" >output 2>&1 || { echo "$compiler: mistake $number compiles"; return 1; }
      grep -qF "$sentence" output || { echo "$compiler: mistake $number is not answered with \"$sentence\""; cat output; return 1; }
      count=$((count + 1))
    done < <(sed -nE '/^#(el)?if MISTAKE == /{ s/.* ([0-9]+)$/\1/; N; s/\n *\/\/ /:/p }' mistakes.cc)
  done
  ((count >= 38)) || { echo "only $count mistakes were found"; return 1; }
}

# The name of the library, and that each symbol is epore's: its own, or what the compiler makes for its classes.
exports() {
  local library=$work/shared/lib/libepore.so soname name strange count
  name=$(objdump -p "$library" | sed -nE 's/^ *SONAME +//p')
  soname=libepore.so.$(sed -nE 's/^#define EPORE_ABI_VERSION ([0-9]+)$/\1/p' "$tree/poll/version.h")
  [[ $name == "$soname" ]] || { echo "the library is not $soname"; return 1; }
  [[ $(readlink -f "$library") == *.so.$version ]] || { echo "the file is not named $version"; return 1; }
  strange=$(nm -DC --defined-only "$library" | cut -d' ' -f3- |
    grep -vE '^(vtable for |typeinfo (name )?for |(non-)?virtual thunk to |guard variable for |TLS (init|wrapper) function for )?epore::')
  [[ ! $strange ]] || { echo "exported, but not of epore:"; echo "$strange"; return 1; }
  strange=$(nm -C --defined-only "$library" | grep -v "\[clone" | sed -nE 's/^\S+ t epore::([a-z_]+)(\[.*\])?\(.*/\1/p' | sort -u |
    while read -r name; do grep -rlE "^[^/]*\b$name\(.*[;,]$" "$work/shared/include/epore" | sed "s|^|$name(), of |"; done)
  [[ ! $strange ]] || { echo "declared by a public header, but not exported:"; echo "$strange"; return 1; }
  count=$(nm -D --defined-only "$library" | wc -l)
  ((count > 300)) || { echo "only $count symbols are exported"; return 1; }
}

# What programs see of the shared library: its functions, and the types in them that epore's headers define. No indents,
# which are a sixth of it.
dump_abi() {
  abidw --exported-interfaces-only --headers-dir "$work/shared/include" --suppressions "$tree/tests/consumers/libepore.suppr" \
    --drop-private-types --drop-undefined-syms --no-corpus-path --no-comp-dir-path --no-show-locs --no-parameter-names \
    --no-elf-needed --no-write-default-sizes --type-id-style hash "$work/shared/lib/libepore.so" | sed 's/^ *//'
}

# Whether programs that were built before still run, by the dump in the tree. What is added does not hurt them.
abi() {
  local accepted=$tree/cmake/libepore.abi
  begin abi || return
  if [[ $(g++ -dumpversion).$(uname -m) != 12.x86_64 ]]; then
    echo "abi: not compared, as the dump is of gcc 12 on x86-64, and another compiler describes types otherwise" >&7
    return
  fi
  dump_abi >libepore.abi || return
  if [[ $accepts_abi ]]; then cp libepore.abi "$accepted" && return; fi
  abidiff --no-added-syms --no-show-locs --leaf-changes-only --impacted-interfaces "$accepted" libepore.abi >report && return
  head -n 50 report
  echo "The ABI has changed (the whole report: $PWD/report). Programs that were built before may not run: docs/versions.md."
  echo "If it is meant, accept it: tests/consumers/run.sh --accept-abi"
  return 1
}

find_package() {
  local older=$major.$((minor - 1))
  ((minor > 0)) || older=$((major - 1)).0
  begin find_package && cmake -S . -B build -DCMAKE_PREFIX_PATH="$work/shared;$prefix" && cmake --build build &&
    runs build/service && build/kit && accepts_version "$major.$minor" && ! accepts_version "$major.$((minor + 1))" && ! accepts_version "$older"
}

accepts_version() { # VERSION: whether find_package() takes the installed one for it
  rm -rf other && mkdir other && cat >other/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.22)
project(other LANGUAGES CXX)
find_package(epore $1 CONFIG QUIET)
if(NOT epore_FOUND)
  message(FATAL_ERROR "refused: \${epore_CONSIDERED_VERSIONS}")
endif()
END
  cmake -S other -B other/build -DCMAKE_PREFIX_PATH="$work/shared;$prefix" >output 2>&1 && return
  cat output
  grep -q "refused: $version" output || exit 1 # for another reason
  return 1
}

find_static() {
  begin find_static && cp "$tree"/tests/consumers/find_package/* . &&
    cmake -S . -B build -DCMAKE_PREFIX_PATH="$work/static;$prefix" && cmake --build build && runs build/service &&
    build/kit
}

pkg_config() {
  begin pkg_config || return
  export PKG_CONFIG_PATH=$work/shared/lib/pkgconfig:$prefix/lib/pkgconfig
  # shellcheck disable=SC2046
  ccache g++ -std=c++20 -Wall -Wextra -Werror -c service.cc $(pkg-config --cflags epore) &&
    g++ service.o -o service $(pkg-config --libs epore) &&
    [[ $(pkg-config --modversion epore) == "$version" ]] && runs ./service
}

# Inside a shared object, with a static epore of its own, that a program loads and unloads.
plugin() {
  begin plugin || return
  export PKG_CONFIG_PATH=$work/static/lib/pkgconfig:$prefix/lib/pkgconfig
  # shellcheck disable=SC2046
  ccache g++ -std=c++20 -fPIC -c plugin.cc $(pkg-config --cflags epore) &&
    g++ -shared plugin.o -o plugin.so -Wl,--exclude-libs,ALL -Wl,-z,defs $(pkg-config --libs epore) &&
    g++ -std=c++20 host.cc -o host && [[ $(./host) == "epore $version"$'\n'"epore $version" ]]
}

# In other dialects than epore itself was built in: another compiler, C++23, without RTTI, without exceptions.
compilers() {
  local compiler
  begin compilers || return
  export PKG_CONFIG_PATH=$work/shared/lib/pkgconfig:$prefix/lib/pkgconfig
  for compiler in "g++ -std=c++23 -fno-rtti" "g++ -std=c++20 -fno-exceptions" "clang++-19 -std=c++20" \
    "clang++-19 -std=c++23 -fno-rtti -fno-exceptions"; do
    echo "$compiler"
    # shellcheck disable=SC2046,SC2086
    ccache $compiler -c service.cc $(pkg-config --cflags epore) && ${compiler%% *} service.o -o service $(pkg-config --libs epore) &&
      runs ./service || return
  done
}

# Abseil is built as well, from source and static.
add_subdirectory() {
  begin add_subdirectory && unpack epore &&
    CMAKE_PREFIX_PATH='' cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DEPORE_FETCH_ABSEIL=ON \
      -DFETCHCONTENT_SOURCE_DIR_ABSL="$source" && cmake --build build --target service && runs build/service
}

# Beside whatever libc++ is installed: its packages of two versions exclude each other.
unpack_libcxx() { # FOLDER
  [[ ! -e $1/complete ]] || return 0
  local package packages=(libc++-19-dev libc++1-19 libc++abi-19-dev libc++abi1-19 libunwind-19-dev libunwind-19) sudo=
  [[ $(id -u) == 0 ]] || sudo=sudo
  apt-get -qq download "${packages[@]}" || { $sudo apt-get -qq update && apt-get -qq download "${packages[@]}"; } || return
  for package in *.deb; do dpkg -x "$package" "$1" || return; done
  touch "$1/complete"
}

# Not among all: it was not seen to its end yet. With LLVM's standard library and clang, in C++23. Abseil and epore are built with it too, as their ABIs need; without
# optimization, which is quicker.
libcxx() {
  begin libcxx && cp "$tree/tests/consumers/add_subdirectory/CMakeLists.txt" . && unpack epore && unpack_libcxx "$home/libc++-19" || return
  local llvm=$home/libc++-19/usr/lib/llvm-19
  export CXX=clang++-19 LDFLAGS="-L$llvm/lib -Wl,-rpath,$llvm/lib"
  export CXXFLAGS="-w -stdlib=libc++ -stdlib++-isystem$llvm/include/c++/v1 -fexperimental-library"
  CMAKE_PREFIX_PATH='' cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DCMAKE_CXX_STANDARD=23 \
    -DEPORE_FETCH_ABSEIL=ON -DFETCHCONTENT_SOURCE_DIR_ABSL="$source" && cmake --build build --target service && runs build/service &&
    ldd build/service | grep -qF "$llvm/lib/libc++.so.1"
}

refuses_abseil() { # WHY
  # CMake breaks the lines of its messages.
  ! cmake -S "$work/epore" -B build >output 2>&1 && tr -s ' \n' ' ' <output | grep -qF "$1" || { cat output && return 1; }
}

# An Abseil that does not fit, Debian 12's or 13's, is named before anything is built, and is not in the way of another.
old_abseil() {
  begin old_abseil && mkdir -p absl/{lib/cmake/absl,include/absl/base} || return
  echo 'add_library(absl::status STATIC IMPORTED)' >absl/lib/cmake/absl/abslConfig.cmake
  echo 'set(PACKAGE_VERSION 20220623)' >absl/lib/cmake/absl/abslConfigVersion.cmake
  export CMAKE_PREFIX_PATH=$PWD/absl
  refuses_abseil "the installed one is 20220623" || return
  echo 'set(PACKAGE_VERSION 20240722)' >absl/lib/cmake/absl/abslConfigVersion.cmake
  echo '#define ABSL_OPTION_USE_STD_STRING_VIEW 0' >absl/include/absl/base/options.h
  refuses_abseil "in the installed one, 20240722, absl::string_view is not std::string_view" || return
  cmake -S "$work/epore" -B build -DEPORE_FETCH_ABSEIL=ON -DFETCHCONTENT_SOURCE_DIR_ABSL="$source"
}

# Another workspace names epore, Abseil and what that loads, and no more. Where bazelw has set up Debian's Bazel, its
# options name the sources.
bazel() {
  local rc=$cache/rc/${tree//\//+}.bazelrc command=(bazel)
  begin bazel && unpack epore || return
  [[ ! -e $rc ]] || command=(/usr/bin/bazel --output_user_root="$cache/bazel" --bazelrc="$rc")
  LD_LIBRARY_PATH='' "${command[@]}" --batch build //:service && runs bazel-bin/service
}

# ----------------------------------------------------------------------------------------------------------------

mkdir -p "$work" && exec 8>"$home/lock" && flock 8 || exit
log=$home/log passed=0 failed=0
try() { # NAME
  local start=$SECONDS
  if ("$1") >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1)) && printf '%-18s passed %4d s\n' "$1" $((SECONDS - start))
  else
    failed=$((failed + 1)) && tail -n 60 "$log" && printf '%-18s FAILED %4d s\n' "$1" $((SECONDS - start))
  fi
}

accepts_abi=
[[ ${1:-} != --accept-abi ]] || { accepts_abi=1 && set -- abi; }
chosen=("$@")
(($#)) || chosen=("${all[@]}")
try set_up
rm -rf "${work:?}/epore" && unpack "$work/epore" || exit
try install
for way in "${chosen[@]}"; do try "$way"; done
echo "consumers: $passed passed, $failed failed"
((failed == 0))
