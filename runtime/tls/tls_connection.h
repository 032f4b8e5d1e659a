#ifndef EPORE_RUNTIME_TLS_TLS_CONNECTION_H_
#define EPORE_RUNTIME_TLS_TLS_CONNECTION_H_

#include <memory>
#include <string>
#include <utility>

#include "epore/runtime/byte_view.h"
#include "epore/runtime/connection.h"
#include "epore/runtime/task.h"
#include "epore/runtime/tls/tls_context.h"

namespace epore {

namespace internal {
class TlsStream;
}

// A TlsConnection is a Connection whose bytes are encrypted, and whose peer is who it says it is.
// It is for coroutines.
//
//   epore::Task<> echo(epore::TlsContext context, epore::Connection peer) {
//     epore::TlsConnection tls = co_await epore::TlsConnection::accept(context, peer);
//     while (epore::ByteView bytes = co_await tls.read()) co_await tls.write(bytes);
//     tls.close();
//   }
//
// Threads: calls are made, and awaited, by tasks of the connection's order, as its handler is. From
// elsewhere they get FailedPrecondition, but for close(), and properties are empty. It has no
// thread of its own.
//
// Ownership, lifetime: a handle of one pointer; copies name the same. The Connection is given to
// it: nobody else reads or writes that. When the last handle is gone, the Connection is as if it
// were dropped: the peer sees an end without close_notify, and takes it for an error.
//
// Edges, guaranteed:
//
// 1. An end that the peer has not said (close_notify) is an error of read(), never the end.
// 2. A stop or a deadline loses no byte that has come, and leaves no record half written.
// 3. A handshake ends at TlsServerOptions::handshake_timeout, or a client's.
// 4. While nobody has bytes in hand it holds no buffers.
//
// docs/guide/tls.md has more. See docs/errors.md, SSL_read(3), SSL_shutdown(3).
class TlsConnection {
 public:
  TlsConnection() = default;  // names none: calls get FailedPrecondition

  // Makes the handshake of a server, or of a client that wants to talk to `name`: a host name, or a
  // number as in a certificate (without a port). Bytes of `peer` that were not consumed belong to
  // it.
  //
  // Errors: Unauthenticated if the peer's certificate is refused; Unavailable if the peer refuses
  // (its alert), speaks something else, or ends; DeadlineExceeded; ResourceExhausted, also of the
  // lane; InvalidArgument for the name; FailedPrecondition for a context of the other side; those
  // of the connection and of a stop. After an error the connection is closed: gracefully behind the
  // alert that tells the peer, otherwise by a reset. So it is if the task is dropped: no connection
  // stays open without TLS.
  [[nodiscard]] static Task<TlsConnection> accept(TlsContext context, Connection peer);
  [[nodiscard]] static Task<TlsConnection> connect(TlsContext context, Connection peer,
                                                   std::string name);

  // Waits for bytes: at most a record, 16 KiB. The view is valid until the next read(). An empty
  // view is the end: the peer has said that nothing more comes. One coroutine at a time may read.
  //
  // Errors: DataLoss if the connection ends without that; Unavailable for bytes that are no TLS, or
  // were changed on the way, and for the peer's alert, such as that of a server that refuses the
  // client's certificate; FailedPrecondition if another coroutine reads; Cancelled after close();
  // OutOfRange for a loop that does not look for the end, as Connection::read(); those of the
  // connection and of a stop.
  [[nodiscard]] Task<ByteView> read() const;

  // Writes `bytes`, which must live until then, and waits before that while the write queue of the
  // connection is above its high mark. The bytes of one call stay together.
  //
  // A stop or a deadline while it waits leaves those that have not begun unwritten: up to 16 KiB
  // are written all or not at all. Errors: FailedPrecondition after shut_down_write(), Cancelled
  // after close(); those of the connection and of a stop.
  [[nodiscard]] Task<> write(ByteView bytes) const;

  // Says that nothing more is written (close_notify), behind writes that wait, and ends our half.
  // Bytes of the peer still arrive. A second call does nothing. Errors: as of write();
  // FailedPrecondition also if a write() was stopped in the middle, as then this would be no end.
  [[nodiscard]] Task<> shut_down_write() const;

  // Says that nothing more is written, and closes the connection gracefully, as Connection::close()
  // does. Any thread may call it. While a write() has written a part it does not say so, so that
  // the peer does not take the part for the whole; and writes that wait end with Cancelled.
  void close() const;

  // What is below: for addresses, timeouts, closed(), flush() and abort(). Do not read or write it.
  // A TlsConnection that names none has one that names none.
  Connection connection() const;

  // The protocol that both speak, or empty if one of them has named none.
  std::string alpn() const;

  // "TLSv1.2" or "TLSv1.3".
  std::string version() const;

  // The name of the server that the client has asked for (SNI), or empty.
  std::string server_name() const;

  // The subject of the peer's certificate, as "CN = example.org, O = Example"; empty if it has
  // shown none. A name that was verified need not be in it: it may be one of the others that the
  // certificate is for.
  std::string peer_subject() const;

 private:
  explicit TlsConnection(std::shared_ptr<internal::TlsStream> stream)
      : stream_(std::move(stream)) {}

  class Unsecured;
  static Task<TlsConnection> open(TlsContext context, Unsecured peer, std::string name,
                                  bool is_server);

  std::shared_ptr<internal::TlsStream> stream_;  // null: names none
};

}  // namespace epore

#endif  // EPORE_RUNTIME_TLS_TLS_CONNECTION_H_
