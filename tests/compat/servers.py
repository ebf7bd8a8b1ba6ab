# SPDX-License-Identifier: Apache-2.0
"""Servers for the tests, each on a free loopback port with a directory of its own: Apache ZooKeeper from Debian,
and zkserver from the build folder that CORRAL_BUILD names."""
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ["CORRAL_BUILD"])
TICK_MS = 500
START_SECONDS = 30
STOP_SECONDS = 15
# The server's jar names the others that it needs, but for a logger (this one writes to standard error), parts of Netty,
# and what its AdminServer stands on.
JARS = ("slf4j-simple", "zookeeper", "netty-codec", "netty-resolver", "netty-transport-native-unix-common",
        "jetty9-server", "jetty9-servlet", "jetty9-util", "jetty9-util-ajax", "jetty9-http", "jetty9-io",
        "jetty9-security", "servlet-api", "jackson-core", "jackson-databind", "jackson-annotations")
JAVA = ["java", "-Xmx128m", "-cp", ":".join(f"/usr/share/java/{jar}.jar" for jar in JARS)]


def free_port():
    """Below those that the kernel takes for outgoing connections: such a one could have it before the server has, the
    test's own look at whether the server is up among them."""
    while True:
        port = random.SystemRandom().randrange(10000, 30000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_until(condition, seconds, what):
    """Poll a condition until it holds; its first true value is the result."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {seconds} s")


class Server:
    """One standalone server; the subclass says what to run."""

    def __init__(self, settings="", properties=None, tick_ms=TICK_MS):
        """settings: further lines of its zoo.cfg; properties: what Apache's server takes from its JVM only."""
        self.properties = properties or {}
        self.dir = Path(tempfile.mkdtemp(prefix="corral-compat-"))
        self.port = free_port()
        self.hosts = f"127.0.0.1:{self.port}"
        self.config = self.dir / "zoo.cfg"
        self.config.write_text(
            f"tickTime={tick_ms}\ndataDir={self.dir}/data\nclientPort={self.port}\nclientPortAddress=127.0.0.1\n"
            f"admin.enableServer=false\n4lw.commands.whitelist=*\n{settings}{self.property_lines()}")
        self.process = None

    def property_lines(self):
        return ""

    def launch(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.dir)

    def start(self):
        self.launch()
        return self.wait()

    def wait(self):
        """Until it serves."""
        try:
            wait_until(self.answers, START_SECONDS, f"{self.name} serves")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.log()[-4000:]}") from e
        return self

    def log(self):
        return (self.dir / "log").read_text(errors="replace")

    def answers(self):
        assert self.process.poll() is None, f"{self.name} ended"
        try:
            return "Mode:" in self.four_letters("srvr")
        except OSError:
            return False

    def four_letters(self, word):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            s.sendall(word.encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            status = self.process.wait(STOP_SECONDS)
            if how == signal.SIGTERM:
                assert status in self.stop_statuses, (status, self.log()[-4000:])
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def remove(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir)


class Apache(Server):
    name = "apache"
    stop_statuses = (128 + signal.SIGTERM,)  # Java's own

    def command(self):
        flags = [f"-D{key}={value}" for key, value in self.properties.items()]
        return JAVA + flags + ["org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.config)]


class Corral(Server):
    name = "corral"
    stop_statuses = (0,)

    def property_lines(self):
        return "".join(f"{key}={value}\n" for key, value in self.properties.items())

    def command(self):
        return [str(BUILD / "zkserver" / "zkserver"), "run", "--config", str(self.config)]


KINDS = {kind.name: kind for kind in (Apache, Corral)}
