#ifndef EPORE_TESTS_BENCH_MICRO_ASIO_TASKS_H_
#define EPORE_TESTS_BENCH_MICRO_ASIO_TASKS_H_

#include <boost/asio.hpp>

#include "tests/bench/micro_tasks.h"
#include "tests/bench/stopwatch.h"

namespace epore::bench {

// `count` times, on a context that one thread runs. `other`, with a thread of its own, is for the
// work that needs another thread.
Stopwatch::Time run_asio_tasks(boost::asio::io_context& context, boost::asio::io_context& other,
                               TaskWork work, int count);

// Echoes until the peer ends. `has_timeout`: waits an hour for bytes at most.
void serve_asio_task(
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>
        socket,
    bool has_timeout);

}  // namespace epore::bench

#endif  // EPORE_TESTS_BENCH_MICRO_ASIO_TASKS_H_
