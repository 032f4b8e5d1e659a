// The programs that docs/coming-from-libuv.md shows beside those of epore, on libuv, in their
// shortest form that is right. They are compiled, and pages_test compares them with the page.
#ifdef EPORE_HAVE_LIBUV

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

// -- What is neither libuv's nor epore's. --

void reload_cache();
std::string load_file(const std::string& path);

// -- 1. --

namespace echo {

void read_some(uv_stream_t* peer, ssize_t size, const uv_buf_t* buffer);

void close_peer(uv_stream_t* peer) {
  uv_close(reinterpret_cast<uv_handle_t*>(peer),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
}

void allocate(uv_handle_t*, std::size_t size, uv_buf_t* buffer) {
  *buffer = uv_buf_init(new char[size], static_cast<unsigned>(size));
}

void written(uv_write_t* write, int error) {
  uv_stream_t* peer = write->handle;
  delete[] static_cast<char*>(write->data);
  delete write;
  if (error == UV_ECANCELED) return;  // it is being closed
  if (error == 0) error = uv_read_start(peer, allocate, read_some);
  if (error != 0) close_peer(peer);
}

void read_some(uv_stream_t* peer, ssize_t size, const uv_buf_t* buffer) {
  if (size <= 0) delete[] buffer->base;
  if (size < 0) close_peer(peer);
  if (size <= 0) return;
  auto* write = new uv_write_t;
  write->data = buffer->base;
  uv_buf_t bytes = uv_buf_init(buffer->base, static_cast<unsigned>(size));
  uv_read_stop(peer);  // or a peer that does not read fills the memory
  if (uv_write(write, peer, &bytes, 1, written) == 0) return;
  delete[] buffer->base;
  delete write;
  close_peer(peer);
}

void accept(uv_stream_t* server, int error) {
  if (error != 0) return;
  auto* tcp = new uv_tcp_t;
  auto* peer = reinterpret_cast<uv_stream_t*>(tcp);
  uv_tcp_init(server->loop, tcp);
  error = uv_accept(server, peer);
  if (error == 0) error = uv_read_start(peer, allocate, read_some);
  if (error != 0) close_peer(peer);
}

int listen(uv_loop_t* loop, uv_tcp_t* server, const sockaddr* address) {
  uv_tcp_init(loop, server);
  int error = uv_tcp_bind(server, address, 0);
  if (error == 0) error = uv_listen(reinterpret_cast<uv_stream_t*>(server), 128, accept);
  return error;
}

}  // namespace echo

// -- 2. --

namespace question {

struct Question {
  uv_tcp_t tcp;
  uv_timer_t timer;
  uv_connect_t connect;
  uv_write_t write;
  std::string text;
  std::string answer;
  std::function<void(int error, std::string answer)> done;
  int open_handles = 2;
};

Question* of(void* data) { return static_cast<Question*>(data); }

void closed(uv_handle_t* handle) {
  Question* question = of(handle->data);
  if (--question->open_handles == 0) delete question;
}

void end(Question* question, int error) {
  if (!question->done) return;  // it has ended
  auto done = std::exchange(question->done, nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&question->tcp), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&question->timer), closed);
  done(error, question->answer);
}

void answered(uv_stream_t* tcp, ssize_t size, const uv_buf_t* buffer) {
  Question* question = of(tcp->data);
  if (size > 0) question->answer.append(buffer->base, static_cast<std::size_t>(size));
  delete[] buffer->base;
  if (size < 0) return end(question, static_cast<int>(size));
  if (question->answer.find('\n') != std::string::npos) return end(question, 0);
  if (question->answer.size() >= 1024) end(question, UV_EMSGSIZE);
}

void connected(uv_connect_t* connect, int error) {
  Question* question = of(connect->data);
  if (error != 0) return end(question, error);
  uv_buf_t bytes = uv_buf_init(question->text.data(), static_cast<unsigned>(question->text.size()));
  error = uv_write(&question->write, connect->handle, &bytes, 1, [](uv_write_t* write, int error) {
    if (error != 0) end(of(write->data), error);
  });
  if (error == 0) error = uv_read_start(connect->handle, echo::allocate, answered);
  if (error != 0) end(question, error);
}

void ask(uv_loop_t* loop, const sockaddr* address, std::string text,
         std::function<void(int error, std::string answer)> done) {
  auto* question = new Question{};
  question->text = std::move(text);
  question->done = std::move(done);
  uv_tcp_init(loop, &question->tcp);
  uv_timer_init(loop, &question->timer);
  question->tcp.data = question->timer.data = question;
  question->connect.data = question->write.data = question;
  const auto late = [](uv_timer_t* timer) { end(of(timer->data), UV_ETIMEDOUT); };
  int error = uv_timer_start(&question->timer, late, 2000, 0);
  if (error == 0) error = uv_tcp_connect(&question->connect, &question->tcp, address, connected);
  if (error != 0) end(question, error);
}

}  // namespace question

// -- 3. --

namespace periodic {

struct Refresh {
  uv_timer_t minute;
  uv_async_t stop;
};

int start(uv_loop_t* loop, Refresh& refresh) {
  const auto end = [](uv_async_t* stop) {
    auto* refresh = static_cast<Refresh*>(stop->data);
    uv_close(reinterpret_cast<uv_handle_t*>(&refresh->minute), nullptr);
    uv_close(reinterpret_cast<uv_handle_t*>(stop), nullptr);
  };
  int error = uv_async_init(loop, &refresh.stop, end);
  if (error != 0) return error;
  refresh.stop.data = &refresh;
  uv_timer_init(loop, &refresh.minute);
  return uv_timer_start(
      &refresh.minute, [](uv_timer_t*) { reload_cache(); }, 60000, 60000);
}

void stop_on_any_thread(Refresh& refresh) { uv_async_send(&refresh.stop); }

}  // namespace periodic

// -- 4. --

namespace blocking {

struct Load {
  uv_work_t work;
  std::string path;
  std::string text;
  std::function<void(std::string text)> done;
};

int load(uv_loop_t* loop, std::string path, std::function<void(std::string text)> done) {
  auto* load = new Load{{}, std::move(path), "", std::move(done)};
  load->work.data = load;
  const auto run = [](uv_work_t* work) {
    auto* load = static_cast<Load*>(work->data);
    load->text = load_file(load->path);
  };
  const auto end = [](uv_work_t* work, int) {
    auto* load = static_cast<Load*>(work->data);
    load->done(std::move(load->text));
    delete load;
  };
  int error = uv_queue_work(loop, &load->work, run, end);
  if (error != 0) delete load;
  return error;
}

}  // namespace blocking

// -- 5. --

namespace child {

struct Sort {
  uv_process_t process;
  uv_pipe_t input;
  uv_pipe_t output;
  uv_write_t write;
  std::string text;
  std::string sorted;
  std::function<void(int error, std::string sorted)> done;
  int error = 0;
  int open_handles = 3;
};

template <typename Handle>
void close(Handle& handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(&handle), [](uv_handle_t* handle) {
    auto* sort = static_cast<Sort*>(handle->data);
    if (--sort->open_handles != 0) return;
    sort->done(sort->error, std::move(sort->sorted));
    delete sort;
  });
}

void exited(uv_process_t* process, std::int64_t code, int signal) {
  auto* sort = static_cast<Sort*>(process->data);
  if (code != 0 || signal != 0) sort->error = UV_EIO;
  close(sort->process);
}

void written(uv_write_t* write, int error) {
  auto* sort = static_cast<Sort*>(write->data);
  if (error != 0) sort->error = error;
  close(sort->input);
}

void read_some(uv_stream_t* output, ssize_t size, const uv_buf_t* buffer) {
  auto* sort = static_cast<Sort*>(output->data);
  if (size > 0) sort->sorted.append(buffer->base, static_cast<std::size_t>(size));
  delete[] buffer->base;
  if (size < 0 && size != UV_EOF) sort->error = static_cast<int>(size);
  if (size < 0) close(sort->output);
}

void sorted(uv_loop_t* loop, std::string text,
            std::function<void(int error, std::string sorted)> done) {
  auto* sort = new Sort{};
  sort->text = std::move(text);
  sort->done = std::move(done);
  uv_pipe_init(loop, &sort->input, 0);
  uv_pipe_init(loop, &sort->output, 0);
  sort->process.data = sort->input.data = sort->output.data = sort->write.data = sort;
  auto* input = reinterpret_cast<uv_stream_t*>(&sort->input);
  auto* output = reinterpret_cast<uv_stream_t*>(&sort->output);
  uv_stdio_container_t streams[2];
  streams[0].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_READABLE_PIPE);
  streams[0].data.stream = input;
  streams[1].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
  streams[1].data.stream = output;
  std::string words[] = {"sort", "-n"};
  char* arguments[] = {words[0].data(), words[1].data(), nullptr};
  uv_process_options_t options = {};
  options.file = arguments[0];
  options.args = arguments;
  options.stdio = streams;
  options.stdio_count = static_cast<int>(std::size(streams));
  options.exit_cb = exited;
  sort->error = uv_spawn(loop, &sort->process, &options);
  uv_buf_t bytes = uv_buf_init(sort->text.data(), static_cast<unsigned>(sort->text.size()));
  if (sort->error != 0) {
    close(sort->process);
    close(sort->input);
    close(sort->output);
    return;
  }
  int error = uv_write(&sort->write, input, &bytes, 1, written);
  if (error != 0) written(&sort->write, error);
  error = uv_read_start(output, echo::allocate, read_some);
  if (error != 0) close(sort->output);
}

}  // namespace child

#endif  // EPORE_HAVE_LIBUV
