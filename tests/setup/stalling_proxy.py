"""An HTTP proxy on a port of its own, which it prints, that stops answering after so many bytes."""

import http.server
import sys
import threading
import urllib.error
import urllib.request

left = int(sys.argv[1])


def take(size):
    global left
    left -= size
    if left < 0:
        threading.Event().wait()  # for ever; the connection stays open


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        take(0)
        try:
            answer = urllib.request.urlopen(self.path)
        except urllib.error.HTTPError as error:
            self.send_response(error.code)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", answer.headers["Content-Length"])
        self.end_headers()
        while piece := answer.read(65536):
            take(len(piece))
            self.wfile.write(piece)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
