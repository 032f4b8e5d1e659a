"""What the optional targets take from the machine, and what only the examples and benchmarks fetch, for WORKSPACE and for
MODULE.bazel."""

load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive")
load(":system_libraries.bzl", "system_libraries")

def optional_repositories():
    """Declares what //runtime/cares and //runtime/tls need. Without it on the machine these say so at run time."""
    system_libraries(
        name = "epore_system",
        headers = {
            "c_ares": "/usr/include/ares.h",
            "crypto": "/usr/include/openssl/crypto.h",
            "ssl": "/usr/include/openssl/ssl.h",
        },
        libraries = {
            "c_ares": [
                "/usr/lib/x86_64-linux-gnu/libcares.so",
                "/usr/lib/aarch64-linux-gnu/libcares.so",
                "/usr/lib64/libcares.so",
            ],
            "crypto": [
                "/usr/lib/x86_64-linux-gnu/libcrypto.so",
                "/usr/lib/aarch64-linux-gnu/libcrypto.so",
                "/usr/lib64/libcrypto.so",
            ],
            "ssl": [
                "/usr/lib/x86_64-linux-gnu/libssl.so",
                "/usr/lib/aarch64-linux-gnu/libssl.so",
                "/usr/lib64/libssl.so",
            ],
        },
    )

def development_repositories():
    """Declares them. A Bazel that needs none of them fetches none."""

    # For the examples only: llhttp 9.2.1. It is taken from nghttp2's archive, which has its generated C sources, and which
    # is the same bytes at GitHub and in Debian.
    http_archive(
        name = "llhttp",
        build_file = Label("//third_party:llhttp.BUILD"),
        sha256 = "b452dc69a1fcbc9375389b8b154175d8b7b125cdd713fc426774c2b79a1ebd77",
        strip_prefix = "nghttp2-1.64.0/third-party/llhttp",
        urls = ["https://github.com/nghttp2/nghttp2/archive/refs/tags/v1.64.0.tar.gz"],
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
