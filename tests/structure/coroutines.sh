#!/bin/bash
# Runs clang-tidy's checks of coroutines over the programs that have coroutines, and over the headers that they include:
#   tests/structure/coroutines.sh [FILE...]      all of runtime/, examples/ and tests/, or some of them
# It needs clang-tidy-19 (Debian: apt-get install clang-tidy-19), or another one as CLANG_TIDY, and one build by ./bazelw,
# which puts the headers of Abseil and GoogleTest into place. Exits with 1 if there is a finding.
#
# What is switched off, and why:
# - cppcoreguidelines-avoid-capturing-lambda-coroutines, where a program is checked: it forbids each capture, as a lambda
#   may die before its coroutine does. spawn(), run(), listen(), group() and on() keep the lambda until then.
# - cppcoreguidelines-avoid-reference-coroutine-parameters, where a program is checked: a task that is awaited in the
#   expression that makes it may refer to what lives there. spawn() takes references by std::ref only.
# Neither is switched off for the headers and sources of runtime/.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

tidy=${CLANG_TIDY:-clang-tidy-19}
external=$(./bazelw info output_base 2>/dev/null)/external
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ln -s "$PWD" "$folder/epore"

always=misc-coroutine-hostile-raii,cppcoreguidelines-no-suspend-with-lock
strict=$always,cppcoreguidelines-avoid-capturing-lambda-coroutines
strict=$strict,cppcoreguidelines-avoid-reference-coroutine-parameters
locks='std::lock_guard;std::scoped_lock;std::unique_lock;absl::MutexLock;absl::ReaderMutexLock;absl::WriterMutexLock'
locks="$locks;absl::ReleasableMutexLock;epore::internal::Trampoline::Run;epore::internal::ReadyList"
config="{CheckOptions: {misc-coroutine-hostile-raii.RAIITypesList: '$locks'}}"

check() { # CHECKS HEADERS FILE...
  local checks=$1 headers=$2
  shift 2
  printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" "$tidy" --quiet --checks="-*,$checks" --warnings-as-errors='*' \
    --config="$config" --header-filter="$headers" --extra-arg=-std=c++20 --extra-arg="-I$folder" --extra-arg=-I. \
    --extra-arg="-isystem$external/com_google_absl" --extra-arg="-isystem$external/llhttp/include" \
    --extra-arg="-isystem$external/com_google_googletest/googletest/include" \
    --extra-arg="-isystem$external/com_google_googletest/googlemock/include"
}

if (($#)); then
  programs=("$@")
else
  mapfile -t programs < <(git grep -lE 'co_await|co_return' -- 'examples/*.cc' 'tests/*.cc' ':!tests/bench' ':!*asio*')
fi
status=0
check "$strict" '/epore/runtime/' runtime/runtime.cc || status=1
check "$always" '/epore/(runtime|examples|tests)/' "${programs[@]}" || status=1
((status)) || echo "coroutines: clean"
exit $status
