# SPDX-License-Identifier: Apache-2.0
"""Several hosts on one machine: network namespaces on a bridge, whose links are cut and healed. Needs root."""
import ctypes
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def run(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, **more).stdout


class Network:
    """`count` hosts, numbered from 1, in 10.77.0.0/24; host 0 is for those who look on, and is never cut off."""

    made = 0

    def __init__(self, count):
        Network.made += 1
        self.count = count
        self.prefix = f"c{os.getpid()}x{Network.made}n"
        self.switch = self.prefix + "sw"
        self.onlooker = None  # a thread that is on host 0
        try:
            self.wire()
        except BaseException:
            self.remove()
            raise

    def wire(self):
        run("ip", "netns", "add", self.switch)
        run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")
        for host in range(self.count + 1):
            name = self.name(host)
            run("ip", "netns", "add", name)
            run("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", f"p{host}", "netns", self.switch)
            run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "-n", name, "addr", "add", self.address(host) + "/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
            run("ip", "-n", self.switch, "link", "set", f"p{host}", "master", "br0", "up")
        self.nft("add table bridge cuts", "add chain bridge cuts pairs { type filter hook forward priority 0; }")

    def name(self, host):
        return f"{self.prefix}{host}"

    @staticmethod
    def address(host):
        return f"10.77.0.{host + 1}"

    def within(self, host, *words):
        """The command line that runs `words` on a host."""
        return ["ip", "netns", "exec", self.name(host), *[str(w) for w in words]]

    def enter(self, host, *words):
        """The same, with this machine's own mounts: `ip netns exec` hides the control groups."""
        return ["nsenter", f"--net=/run/netns/{self.name(host)}", *[str(w) for w in words]]

    def look_on(self, function, *arguments):
        """What a function of this program answers on host 0; the sockets that it makes stay there."""
        if self.onlooker is None:
            self.onlooker = ThreadPoolExecutor(1, initializer=self.move_thread)
        return self.onlooker.submit(function, *arguments).result()

    def move_thread(self):
        with open(f"/run/netns/{self.name(0)}", "rb") as host:
            if LIBC.setns(host.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def nft(self, *statements):
        run("ip", "netns", "exec", self.switch, "nft", "; ".join(statements))

    def cut_one_way(self, sender, receiver):
        """What the one sends no longer arrives at the other; silently, as with a broken cable."""
        self.nft(f'add rule bridge cuts pairs iifname "p{sender}" oifname "p{receiver}" drop')

    def cut(self, one, other):
        self.cut_one_way(one, other)
        self.cut_one_way(other, one)

    def isolate(self, host, others=None):
        for other in others or range(1, self.count + 1):
            if other != host:
                self.cut(host, other)

    def heal_host(self, host):
        """All that was cut between this host and others."""
        for line in run("ip", "netns", "exec", self.switch, "nft", "-a", "list", "chain", "bridge", "cuts", "pairs").splitlines():
            if f'"p{host}"' in line:
                self.nft(f"delete rule bridge cuts pairs handle {line.rpartition(' ')[2]}")

    def heal(self):
        self.nft("flush chain bridge cuts pairs")

    def remove(self):
        """All processes on the hosts must have ended."""
        if self.onlooker is not None:
            self.onlooker.shutdown()
        for name in [self.name(host) for host in range(self.count + 1)] + [self.switch]:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
