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


PLAIN = """
import http.server, json, os, subprocess, sys, threading
private, public = "10.9.8.7", "93.184.216.34"
picture, hosts = open(sys.argv[1], "rb").read(), sys.argv[2]
with open(hosts, "w") as file:
    file.write(f"127.0.0.1 localhost\\n{private} gateway.lan\\n{public} gateway.example\\n")
for command in (
    ["mount", "--make-rprivate", "/"],
    ["mount", "--bind", hosts, "/etc/hosts"],
    ["ip", "link", "set", "lo", "up"],
    *(["ip", "addr", "add", each, "dev", "lo"] for each in (private, public)),
):
    subprocess.run(command, check=True)
heard = []
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def say(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        heard.append(("GET", self.server.server_address[0], "authorization" in self.headers))
        self.say(picture, "image/png")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        heard.append(("POST", self.server.server_address[0], "authorization" in self.headers))
        url = f"http://{self.headers['host']}/a.png"
        self.say(json.dumps({"data": [{"url": url}]}).encode(), "application/json")
for host in (private, public):
    server = http.server.ThreadingHTTPServer((host, 8080), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
with open(os.environ["SEEDREAM_CONFIG"], "w") as file:
    for name, host in ("ip", private), ("lan", "gateway.lan"), ("out", "gateway.example"):
        file.write(f'[profiles.{name}]\\nprovider = "openai-images"\\nmodel = "m"\\n')
        file.write(f'base_url = "http://{host}:8080/v1"\\nallow_http = true\\n')
        file.write('api_key_env = "GW_KEY"\\n')
def run(name, **env):
    words = ["generate", "x", "-p", name, "-o", f"{name}-{len(env)}.png", "--timeout", "3"]
    command = [sys.executable, "-m", "seedream_cli", *words]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True)
    found = {"code": done.returncode, "err": done.stderr, "heard": list(heard)}
    heard.clear()
    return found
proxied = {"HTTP_PROXY": f"http://{public}:8080"}
print(json.dumps([run("ip"), run("lan"), run("out"), run("lan", **proxied)]))
"""


def test_a_key_goes_unencrypted_to_private_addresses_only(tmp_path: Path) -> None:
    """With `allow_http`: whatever a name stands for, no byte of ours reaches a public address."""
    picture = tmp_path / "sent.png"
    picture.write_bytes(png())
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "SEEDREAM_CONFIG": str(tmp_path / "config.toml"),
        "SEEDREAM_STATE_DIR": str(tmp_path / "state"),
        "GW_KEY": "sk-of-a-test-0123456789",
    }
    hosts = tmp_path / "hosts"
    inside = ["unshare", "--net", "--mount", sys.executable, "-c", PLAIN, str(picture), str(hosts)]
    done = subprocess.run(inside, env=environ, cwd=tmp_path, capture_output=True, check=False)
    if b"unshare failed" in done.stderr:
        pytest.skip("NOT TRIED: no network of its own is to be had here")
    assert done.returncode == 0, done.stderr
    by_address, by_name, public, proxied = json.loads(done.stdout)
    for found, name in ((by_address, "ip"), (by_name, "lan")):
        assert found["code"] == 0, found["err"]
        assert found["heard"] == [["POST", "10.9.8.7", True], ["GET", "10.9.8.7", False]]
        assert (tmp_path / f"{name}-0.png").read_bytes() == png()
    for found in (public, proxied):
        assert (found["code"], found["heard"]) == (69, []), found["err"]
        assert "unencrypted" in found["err"]


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
