# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made as an operator makes them: by `corral tls`."""
import subprocess

from waiting import BUILD, DEADLINE_S


def corral_tls(verb, directory, *words):
    run = subprocess.run([BUILD / "corral", "tls", verb, "--dir", directory, *words], capture_output=True, text=True,
                         timeout=DEADLINE_S)
    assert run.returncode == 0, run.stderr


def make_tls(directory, cluster, *holders):
    """A CA, and PEM files for each (role, name)."""
    corral_tls("init", directory, "--cluster", cluster)
    for holder in holders:
        corral_tls("issue", directory, *holder)


def write_store(store, directory, holder):
    """Key and certificate of ROLE-NAME in one file, the form that ssl.keyStore.location takes."""
    store.touch(0o600)
    store.write_text((directory / f"{holder}-key.pem").read_text() + (directory / f"{holder}.pem").read_text())
