"""What only the examples and benchmarks fetch, for WORKSPACE and for MODULE.bazel."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
load(":system_libraries.bzl", "system_libraries")

def development_repositories():
    """Declares them. A Bazel that needs none of them fetches none."""

    # For the examples only.
    http_archive(
        name = "http_parser",
        build_file = Label("//third_party:http_parser.BUILD"),
        sha256 = "467b9e30fd0979ee301065e70f637d525c28193449e1b13fbcb1b1fab3ad224f",
        strip_prefix = "http-parser-2.9.4",
        urls = ["https://github.com/nodejs/http-parser/archive/v2.9.4.tar.gz"],
    )

    # For the comparison benchmarks only. See third_party/boost_missing for doing without it.
    http_archive(
        name = "boost",
        build_file = Label("//third_party:boost.BUILD"),
        sha256 = "c4a3b310ddd2472416e091067166b0713be97c63f38c212c484ada022fd296ce",
        strip_prefix = "boost_1_92_0",
        urls = ["https://archives.boost.io/release/1.92.0/source/boost_1_92_0.tar.gz"],
    )

    # For the comparison benchmarks and two examples only: what the machine has of libuv1-dev, libevent-dev, liburing-dev and
    # libglib2.0-dev.
    system_libraries(
        name = "peers",
        folders = {
            "glib": [
                "/usr/include/glib-2.0",
                "/usr/lib/x86_64-linux-gnu/glib-2.0/include",
                "/usr/lib/aarch64-linux-gnu/glib-2.0/include",
                "/usr/lib64/glib-2.0/include",
            ],
        },
        headers = {
            "glib": "/usr/include/glib-2.0/glib.h",
            "libevent": "/usr/include/event2/bufferevent.h",
            "liburing": "/usr/include/liburing.h",
            "libuv": "/usr/include/uv.h",
        },
        libraries = {
            "glib": [
                "/usr/lib/x86_64-linux-gnu/libglib-2.0.so",
                "/usr/lib/aarch64-linux-gnu/libglib-2.0.so",
                "/usr/lib64/libglib-2.0.so",
            ],
            "libevent": [
                "/usr/lib/x86_64-linux-gnu/libevent_core.a",
                "/usr/lib/aarch64-linux-gnu/libevent_core.a",
                "/usr/lib64/libevent_core.so",
            ],
            "liburing": [
                "/usr/lib/x86_64-linux-gnu/liburing.a",
                "/usr/lib/aarch64-linux-gnu/liburing.a",
                "/usr/lib64/liburing.so",
            ],
            "libuv": [
                "/usr/lib/x86_64-linux-gnu/libuv_a.a",
                "/usr/lib/x86_64-linux-gnu/libuv.a",
                "/usr/lib/aarch64-linux-gnu/libuv_a.a",
                "/usr/lib64/libuv.so",
            ],
        },
        linkopts = [
            "-pthread",
            "-ldl",
        ],
    )
