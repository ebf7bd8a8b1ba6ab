# SPDX-License-Identifier: Apache-2.0
"""Apache ZooKeeper as a cluster of Corral finds it: one server or several, in plaintext or with TLS on a port of its own."""
import signal

from servers import START_SECONDS, Apache, free_port, wait_until

INIT_TICKS = 20
SYNC_TICKS = 10


class Ensemble:
    """`count` servers of Apache's, or of another kind, running; `store` and `ca` are PEM files, None: no TLS. The last
    `observers` of them have no vote."""

    def __init__(self, count, store=None, ca=None, kind=Apache, observers=0):
        self.servers = [kind() for _ in range(count)]
        ports = [(free_port(), free_port()) for _ in self.servers]
        for number, server in enumerate(self.servers, 1):
            more = ""
            if count > 1:
                more += f"initLimit={INIT_TICKS}\nsyncLimit={SYNC_TICKS}\n" + "".join(
                    f"server.{n}=127.0.0.1:{peer}:{election}{':observer' if n > count - observers else ''}\n"
                    for n, (peer, election) in enumerate(ports, 1))
                (server.dir / "data").mkdir()
                (server.dir / "data" / "myid").write_text(str(number))
            if store is not None:
                server.secure_port = free_port()
                more += (f"secureClientPort={server.secure_port}\nsecureClientPortAddress=127.0.0.1\n"
                         f"ssl.keyStore.location={store}\nssl.trustStore.location={ca}\n"
                         "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n"
                         "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n")
            with open(server.config, "a", encoding="utf-8") as config:
                config.write(more)
        self.plain_hosts = ",".join(s.hosts for s in self.servers)
        self.hosts = self.plain_hosts if store is None else ",".join(f"127.0.0.1:{s.secure_port}" for s in self.servers)

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait()
        return self

    def leader(self):
        """The server that leads, or stands alone; waits for one."""
        def ask():
            for server in self.servers:
                if server.process is None:
                    continue
                try:
                    told = server.four_letters("srvr")
                except OSError:
                    continue
                if "Mode: leader" in told or "Mode: standalone" in told:
                    return server
            return None
        return wait_until(ask, START_SECONDS, "the ensemble has a leader")

    def kill_leader(self):
        """The server that was killed; start() starts it again."""
        server = self.leader()
        server.stop(signal.SIGKILL)
        return server

    def remove(self):
        for server in self.servers:
            server.remove()
