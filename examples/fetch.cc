// Downloads many pages at once, each with a deadline and a few tries, and shows how far it is.
//
// There is a task for each page, and a number of permits for those that are under way. A page that
// waits for its next try gives its permit to another one. All tasks are in one order, so what they
// count needs no lock. Ctrl-C shuts the runtime down, which stops all of them.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "epore/runtime/runtime.h"
#include "examples/command_line.h"
#include "examples/dump_signal.h"
#include "examples/http_response_parser.h"
#include "examples/terminal.h"
#include "examples/text.h"

ABSL_FLAG(int, times, 1, "how often each URL is fetched");
ABSL_FLAG(int, jobs, 100, "how many are under way at a time");
ABSL_FLAG(absl::Duration, timeout, absl::Seconds(10), "for one try");
ABSL_FLAG(int, tries, 4, "how often a page that does not come is tried");
ABSL_FLAG(absl::Duration, longest_pause, absl::Seconds(5), "before the next try");
ABSL_FLAG(int, longest_page, 64 << 20, "in bytes");
ABSL_FLAG(bool, first_error, false, "end at the first page that fails");

namespace {

constexpr std::string_view kHelp = R"(fetch [flags] URL...

Downloads pages, all at once, and tells how many came. A URL is http://HOST[:PORT][/PATH].

  --times=1            how often each URL is fetched
  --jobs=100           how many are under way at a time
  --timeout=10s        for one try
  --tries=4            how often a page that does not come is tried, with pauses that grow: when
                       there is no connection, no answer in time, a part of one, or 429 or 5xx
  --longest-pause=5s   between two tries; the first pause is up to 100 ms
  --longest-page=N     a longer one fails; 64 MiB by default
  --first-error        end at the first page that fails; otherwise go on, and tell all that failed

Ctrl-C ends it, and SIGUSR1 tells what each task and each connection waits for. Exits with 0 if all
pages came, 1 if not, and 130 after ctrl-C.
)";

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr std::size_t kMostPages = 1'000'000;               // each has a task
constexpr absl::Duration kBlink = absl::Milliseconds(100);  // of the progress line

struct Page {
  std::string url;
  std::string address;  // HOST:PORT
  std::string request;
};

absl::StatusOr<Page> parse_url(const std::string& url) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", examples::on_one_line(url), "\" is no URL of a page: ", why));
  };
  std::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "http://")) return bad("it does not begin with http://");
  if (examples::on_one_line(url) != url || url.find(' ') != url.npos) {
    return bad("it has a space or a control character");
  }
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  std::string_view path = rest.substr(host.size());
  path = path.substr(0, path.find('#'));
  const bool has_port = host.find(':', host.rfind(']') + 1) != host.npos;
  std::string address = has_port ? std::string(host) : absl::StrCat(host, ":80");
  const absl::StatusOr<epore::HostPort> parsed = epore::HostPort::parse(address);
  if (!parsed.ok()) return bad(parsed.status().message());
  if (parsed->host.empty()) return bad("there is no host");
  return Page{url, std::move(address),
              absl::StrCat("GET ", path.empty() || path[0] != '/' ? "/" : "", path,
                           " HTTP/1.1\r\nhost: ", host, "\r\nconnection: close\r\n\r\n")};
}

// What all tasks share.
struct Work {
  std::vector<Page> pages;
  examples::Terminal terminal{stderr, examples::Look::of(stderr)};
  epore::Semaphore room{static_cast<std::size_t>(absl::GetFlag(FLAGS_jobs))};
  std::mt19937_64 random{std::random_device()()};
  std::size_t came = 0;
  std::size_t failed = 0;
  std::size_t tried_again = 0;
  std::size_t bytes = 0;
  bool was_interrupted = true;  // until it ends otherwise

  // Twice as long each time, and a random part of it: tries that failed together shall not come
  // again together ("Full Jitter" of AWS, Exponential Backoff And Jitter).
  absl::Duration pause_after(int tries) {
    const absl::Duration longest = absl::GetFlag(FLAGS_longest_pause);
    absl::Duration most = kFirstPause;
    for (int i = 1; i < tries && most < longest; ++i) most *= 2;
    return std::min(most, longest) * std::uniform_real_distribution<double>(0, 1)(random);
  }
};

// Gives the size of the page, which is never in memory as a whole.
epore::Task<std::size_t> try_once(const Page& page) {
  // Nothing is lost when it is closed at once: the server has read the request that it answers.
  epore::ConnectionOptions options;
  options.linger_timeout = absl::ZeroDuration();
  epore::Connection peer = co_await epore::connect(page.address, options);
  examples::HttpResponseParser parser;
  // A server that does not answer has perhaps not read, and a close would wait until it does.
  const absl::Cleanup give_up = [&] {
    if (!parser.is_complete()) peer.abort();
  };
  co_await peer.write(page.request);
  std::size_t size = 0;
  while (!parser.is_complete()) {
    const epore::ByteView bytes = co_await peer.read();
    if (!bytes) parser.end();
    if (!parser.feed(bytes.text())) co_return absl::DataLossError("the answer is no HTTP");
    size += parser.take_body().size();
    if (size > static_cast<std::size_t>(absl::GetFlag(FLAGS_longest_page))) {
      co_return absl::OutOfRangeError("the page is too long");
    }
    if (!bytes && !parser.is_complete()) {
      co_return absl::UnavailableError("the answer ended early");
    }
  }
  if (parser.status() == 200) co_return size;
  const std::string answer = absl::StrCat("the answer is ", parser.status());
  if (parser.status() == 429 || parser.status() >= 500) co_return absl::UnavailableError(answer);
  co_return absl::NotFoundError(answer);
}

// Whether another try would end in the same way. Errors of the network pass.
bool is_final(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status) || absl::IsDataLoss(status) ||
         absl::IsOutOfRange(status);
}

epore::Task<std::size_t> try_in_turn(Work& work, const Page& page) {
  const epore::Permit permit = co_await work.room.acquire();
  co_return co_await epore::within(absl::GetFlag(FLAGS_timeout), try_once(page));
}

// Ends with an error if it is stopped, and if a failure shall end everything.
epore::Task<> fetch(Work& work, const Page& page) {
  for (int tries = 1;; ++tries) {
    const absl::StatusOr<std::size_t> size = co_await try_in_turn(work, page).result();
    if (size.ok()) {
      ++work.came;
      work.bytes += *size;
      co_return;
    }
    if (absl::IsCancelled(size.status())) co_await size.status();  // a stop
    if (tries == absl::GetFlag(FLAGS_tries) || is_final(size.status())) {
      ++work.failed;
      work.terminal.print(absl::StrCat(page.url, ": ", size.status().message()));
      if (absl::GetFlag(FLAGS_first_error)) co_await size.status();
      co_return;
    }
    ++work.tried_again;
    co_await epore::sleep_for(work.pause_after(tries));
  }
}

// Ends well in any case: its status is in `work`.
epore::Task<> fetch_all(Work& work) {
  const auto start = [&work](epore::Group& group) -> epore::Task<> {
    for (const Page& page : work.pages) group.spawn(fetch, std::ref(work), std::cref(page));
    co_return;
  };
  const absl::Status ended = co_await epore::group(start).result();  // one error stops the others
  work.was_interrupted = absl::IsCancelled(ended);
}

epore::Task<> show_progress(Work& work) {
  while (true) {
    const std::size_t done = work.came + work.failed;
    const double part = static_cast<double>(done) / static_cast<double>(work.pages.size());
    work.terminal.show_progress(absl::StrCat(work.terminal.bar(part, 30), " ", done, " of ",
                                             work.pages.size(), ", ", work.bytes, " bytes"));
    co_await epore::sleep_for(kBlink);
  }
}

epore::Task<> run(Work& work, epore::Runtime& runtime) {
  (void)co_await epore::any(fetch_all(work), show_progress(work)).result();
  runtime.request_shutdown();
}

std::vector<Page> read_command_line(int argc, char** argv) {
  const std::vector<std::string> urls = examples::parse_command_line(argc, argv, kHelp);
  if (urls.empty()) examples::usage_error("no URL");
  for (const auto& [name, value] : {std::pair("times", absl::GetFlag(FLAGS_times)),
                                    {"jobs", absl::GetFlag(FLAGS_jobs)},
                                    {"tries", absl::GetFlag(FLAGS_tries)},
                                    {"longest-page", absl::GetFlag(FLAGS_longest_page)}}) {
    if (value < 1) examples::usage_error(absl::StrCat("--", name, "=", value, ": at least 1"));
  }
  for (const auto& [name, value] : {std::pair("timeout", absl::GetFlag(FLAGS_timeout)),
                                    {"longest-pause", absl::GetFlag(FLAGS_longest_pause)}}) {
    if (value > absl::ZeroDuration()) continue;
    examples::usage_error(
        absl::StrCat("--", name, "=", absl::FormatDuration(value), ": more than zero"));
  }
  const auto times = static_cast<std::size_t>(absl::GetFlag(FLAGS_times));
  if (times > kMostPages / urls.size()) {
    examples::usage_error(absl::StrCat("--times=", times, ": more than ", kMostPages, " pages"));
  }
  std::vector<Page> pages;
  for (const std::string& url : urls) {
    const absl::StatusOr<Page> page = parse_url(url);
    if (!page.ok()) examples::usage_error(page.status().message());
    pages.insert(pages.end(), times, *page);
  }
  return pages;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Page> pages = read_command_line(argc, argv);
  Work work{.pages = std::move(pages)};
  const absl::Time start = absl::Now();
  epore::Runtime runtime;
  if (absl::Status bad = examples::dump_on_signal(runtime); !bad.ok()) return epore::report(bad);
  if (absl::Status bad = runtime.catch_signals(); !bad.ok()) return epore::report(bad);
  runtime.spawn(run, std::ref(work), std::ref(runtime));
  if (absl::Status bad = runtime.run_until_signal(); !bad.ok()) return epore::report(bad);
  work.terminal.show_progress("");
  std::printf("%zu came, %zu failed, %zu tried again, %zu bytes, %s%s\n", work.came, work.failed,
              work.tried_again, work.bytes,
              absl::FormatDuration(absl::Trunc(absl::Now() - start, absl::Milliseconds(1))).c_str(),
              work.was_interrupted ? ", interrupted" : "");
  if (work.was_interrupted) return 130;
  return work.came == work.pages.size() ? 0 : 1;
}
