"""Where every name resolves to an address of no public network, paid pictures come all the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.pictures import png

if TYPE_CHECKING:
    from pathlib import Path

FAKE = "198.18.0.5"
"""What tools such as Clash and sing-box let names resolve to (198.18.0.0/15, RFC 2544)."""
NEEDED = ("unshare", "ip", "openssl")
MISSING = [name for name in NEEDED if shutil.which(name) is None]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or bool(MISSING),
    reason=f"NOT TRIED: it takes root and {', '.join(MISSING or NEEDED)} for a network of its own",
)

# Runs in a network of its own, in which nothing is reached but this machine.
WORLD = """
import http.server, json, os, ssl, subprocess, sys, threading
fake, picture, pem = sys.argv[1], open(sys.argv[2], "rb").read(), sys.argv[3]
for command in (["ip", "link", "set", "lo", "up"], ["ip", "addr", "add", fake, "dev", "lo"]):
    subprocess.run(command, check=True)
counts, JSON = {"charges": 0}, "application/json"
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def say(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self): self.say(picture, "image/png")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        counts["charges"] += 1
        data = [{"url": f"https://{fake}:{hosts[1].server_port}/a.png", "size": "1x1"}]
        self.say(json.dumps({"model": "m", "created": 1, "data": data}).encode(), JSON)
hosts = [http.server.ThreadingHTTPServer((at, 0), Handler) for at in ("127.0.0.1", fake)]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
hosts[1].socket = context.wrap_socket(hosts[1].socket, server_side=True)
for host in hosts:
    threading.Thread(target=host.serve_forever, daemon=True).start()
config = os.environ["SEEDREAM_CONFIG"]
apis = {
    "here": f"http://127.0.0.1:{hosts[0].server_port}",
    "fake": f"https://{fake}:{hosts[1].server_port}",
}
def configure(more=""):
    with open(config, "w") as file:
        for name, base in apis.items():
            file.write(f'[profiles.{name}]\\nprovider = "ark"\\nbase_url = "{base}"\\n')
            file.write(f'api_key_env = "ARK_API_KEY"\\n{more}')
def run(*words):
    command = [sys.executable, "-m", "seedream_cli", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr, **counts}
configure()
fox = ("generate", "a fox", "--any-format")
told = [run(*fox, "-p", "fake", "-o", "fake.png")]
told.append(run(*fox, "-p", "here", "-o", "here.png", "--timeout", "1"))
told.append(run("download", "--timeout", "1"))
configure('image_hosts = "any"\\n')
told.append(run("download", "--timeout", "5"))
print(json.dumps(told))
"""


def test_a_fake_address_keeps_no_picture_away(tmp_path: Path) -> None:
    """As the API's own it is let in; else the way in is named, and leads to the picture: free."""
    pem, picture = tmp_path / "fake.pem", tmp_path / "sent.png"
    picture.write_bytes(png())
    subject = ("-subj", "/CN=fake", "-addext", f"subjectAltName=IP:{FAKE}")
    made = (
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(pem),
        "-out",
        str(tmp_path / "cert.pem"),
    )
    subprocess.run(["openssl", "req", "-x509", *made, *subject], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SEEDREAM_CONFIG": str(tmp_path / "config.toml"),
        "SEEDREAM_STATE_DIR": str(tmp_path / "state"),
        "SEEDREAM_REREAD_SECONDS": "0",
        "SSL_CERT_FILE": str(tmp_path / "cert.pem"),
        "ARK_API_KEY": "sk-of-a-test-0123456789",
    }
    inside = ["unshare", "--net", sys.executable, "-c", WORLD, FAKE, str(picture), str(pem)]
    done = subprocess.run(inside, env=environ, cwd=tmp_path, capture_output=True, check=False)
    if b"unshare failed" in done.stderr:
        pytest.skip("NOT TRIED: no network of its own is to be had here")
    assert done.returncode == 0, done.stderr
    fake, here, barred, let_in = json.loads(done.stdout)
    assert (fake["code"], fake["out"], fake["charges"]) == (0, "fake.png\n", 1), fake["err"]
    assert (here["code"], here["out"], here["charges"]) == (75, "", 2), here["err"]
    assert 'image_hosts = "any"' in here["err"]
    assert (barred["code"], barred["charges"]) == (75, 2)
    assert (let_in["code"], let_in["out"], let_in["charges"]) == (0, "here.png\n", 2), let_in["err"]
    assert [(tmp_path / name).read_bytes() for name in ("fake.png", "here.png")] == [png()] * 2
