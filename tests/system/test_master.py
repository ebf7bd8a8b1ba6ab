# SPDX-License-Identifier: Apache-2.0
"""A master alone with an ensemble."""
import subprocess

from conftest import until
from hostile import program
from zkraw import Zkserver


def test_a_session_shorter_than_four_ticks_is_refused(tmp_path):
    server = Zkserver(tmp_path, more="minSessionTimeout=12000\n")
    conf = tmp_path / "corral.conf"
    conf.write_text(f"[cluster]\nname=test\nensemble=127.0.0.1:{server.port}\nensemble_tls=no\nsession_timeout=10s\n"
                    f"[tls]\nca={tmp_path}/tls/ca.pem\ncert={tmp_path}/tls/master-m.pem\nkey={tmp_path}/tls/master-m-key.pem\n"
                    f"[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={tmp_path}/m\n")
    try:
        run = subprocess.run([program("corral-master"), "run", "--config", conf], capture_output=True, text=True, timeout=30)
    finally:
        server.stop()
    assert run.returncode == 78 and "session_timeout= to 24000 ms" in run.stderr, run


def test_an_ensemble_that_cannot_be_reached_is_said_with_the_reason(tmp_path):
    server = Zkserver(tmp_path)  # whose certificate names no address
    conf = tmp_path / "corral.conf"
    conf.write_text(f"[cluster]\nname=test\nensemble=127.0.0.1:{server.secure}\n"
                    f"[tls]\nca={tmp_path}/tls/ca.pem\ncert={tmp_path}/tls/master-m.pem\nkey={tmp_path}/tls/master-m-key.pem\n"
                    f"[master]\nlisten=127.0.0.1:0\nagent_listen=127.0.0.1:0\nstate_dir={tmp_path}/m\n")
    log = tmp_path / "master.log"
    with log.open("wb") as out:
        master = subprocess.Popen([program("corral-master"), "run", "--config", conf], stderr=out)
    try:
        until(lambda: f"127.0.0.1:{server.secure}" in log.read_text(), log.read_text)
        assert "certificate" in log.read_text()
    finally:
        master.terminate()
        master.wait(30)
        server.stop()
