// The snippets of docs/guide/service-manager.md, as they stand there. pages_test compares them.

#include <cstdlib>

#include "epore/runtime/runtime.h"
#include "gtest/gtest.h"

namespace {

epore::Task<> serve(epore::Connection peer) {
  while (epore::ByteView bytes = co_await peer.read()) co_await peer.write(bytes);
}

int run_service() {
  epore::Runtime runtime;
  auto listener = runtime.listen("inherited:", serve);
  if (!listener.ok()) return epore::report(listener.status());
  return epore::report(runtime.run_until_signal());
}

TEST(ServiceSnippets, WithoutAServiceManagerItSaysSo) {
  ::unsetenv("LISTEN_FDS");
  EXPECT_NE(run_service(), 0);
}

}  // namespace
