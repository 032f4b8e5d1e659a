// epore as a guest in GLib's main loop, as a GSource. Clients of the printed address get their
// bytes back, and GLib counts the bytes of the standard input. At the end of the input the program
// drains and ends.

#ifndef EPORE_HAVE_GLIB

#include <cstdio>

int main() { std::puts("SKIP built without GLib (Debian: libglib2.0-dev)"); }

#else

#include <glib-unix.h>
#include <glib.h>
#include <unistd.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "examples/guest.h"

namespace {

// GLib allocates it, behind its own GSource.
struct Guest {
  GSource source;
  epore::Runtime* runtime;
  gpointer tag;  // of poll_fd()
  GMainLoop* loop;
};

Guest* guest_of(GSource* source) { return reinterpret_cast<Guest*>(source); }

gboolean prepare(GSource* source, gint* timeout) {
  *timeout = examples::milliseconds(guest_of(source)->runtime->poll_timeout());
  return *timeout == 0;
}

gboolean check(GSource* source) {
  const Guest* const guest = guest_of(source);
  return g_source_query_unix_fd(source, guest->tag) != 0 ||
         guest->runtime->poll_timeout() == absl::ZeroDuration();
}

gboolean dispatch(GSource* source, GSourceFunc, gpointer) {
  const absl::Status turned = guest_of(source)->runtime->run_once(absl::ZeroDuration());
  if (turned.ok()) return G_SOURCE_CONTINUE;
  if (!absl::IsCancelled(turned)) (void)epore::report(turned);  // otherwise it is shut down
  g_main_loop_quit(guest_of(source)->loop);
  return G_SOURCE_REMOVE;
}

gboolean on_input(gint, GIOCondition, gpointer runtime) {
  if (examples::read_input()) return G_SOURCE_CONTINUE;
  static_cast<epore::Runtime*>(runtime)->request_shutdown();  // run_once() carries it out
  return G_SOURCE_REMOVE;
}

}  // namespace

int main() {
  epore::Runtime runtime({.dispatch = epore::Dispatch::caller});
  absl::StatusOr<epore::Listener> listener = examples::start_echo(runtime);
  if (!listener.ok()) return epore::report(listener.status());
  absl::StatusOr<int> fd = runtime.poll_fd();
  if (!fd.ok()) return epore::report(fd.status());

  GMainLoop* const loop = g_main_loop_new(nullptr, FALSE);
  static GSourceFuncs functions = {prepare, check, dispatch, nullptr, nullptr, nullptr};
  GSource* const source = g_source_new(&functions, sizeof(Guest));
  Guest* const guest = guest_of(source);
  guest->runtime = &runtime;
  guest->loop = loop;
  guest->tag = g_source_add_unix_fd(source, *fd, G_IO_IN);
  g_source_attach(source, nullptr);
  g_unix_fd_add(STDIN_FILENO, static_cast<GIOCondition>(G_IO_IN | G_IO_HUP), on_input, &runtime);
  g_main_loop_run(loop);
  g_source_unref(source);
  g_main_loop_unref(loop);
}

#endif
