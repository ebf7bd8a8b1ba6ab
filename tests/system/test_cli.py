# SPDX-License-Identifier: Apache-2.0
"""Command lines that need no cluster: help, versions, wrong usage, bad files, nobody there."""
import subprocess

import pytest

from conftest import BUILD

PROGRAMS = {"corral": "corral", "zk": "zk", "zkserver": "zkserver/zkserver", "corral-master": "corral-master",
            "corral-agent": "corral-agent", "corral-executor": "corral-executor"}
VERBS = ("dev", "run", "init", "submit", "watch", "jobs", "ps", "why", "logs", "stop", "nodes", "status", "tls")


@pytest.fixture
def corral(tmp_path):
    def run(*words, program="corral", env=None, **more):
        clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path), **(env or {})}
        return subprocess.run([BUILD / PROGRAMS[program], *map(str, words)], capture_output=True, text=True, timeout=30,
                              env=clean, cwd=tmp_path, **more)
    return run


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_a_version_and_help(corral, program):
    version = corral("--version", program=program)
    assert version.returncode == 0 and version.stdout.startswith(f"{program} (corral) ")
    for word in ("--help", "-h"):
        help_ = corral(word, program=program)
        assert help_.returncode == 0 and help_.stdout.startswith("usage: ") and help_.stderr == ""


@pytest.mark.parametrize("program", PROGRAMS)
def test_wrong_usage_ends_with_64_and_says_so_on_stderr(corral, program):
    run = corral("--no-such-option", program=program)
    assert run.returncode == 64 and run.stdout == "" and run.stderr != ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(corral, verb):
    run = corral(verb, "--help")
    assert run.returncode == 0 and run.stdout.startswith(f"usage: corral {verb} ")


def test_a_misspelt_verb_is_answered_with_the_nearest(corral):
    run = corral("sumbit", "x.job")
    assert run.returncode == 64 and "did you mean 'submit'?" in run.stderr


@pytest.mark.parametrize("option, said", [("--jsn", "unknown option --jsn, did you mean --json?"),
                                          ("--json=yes", "option --json takes no argument"),
                                          ("--c", "option --c may be one of several: write it out"),
                                          ("--frobnicate", "unknown option --frobnicate\n")])
def test_a_wrong_option_is_named_with_what_is_wrong(corral, option, said):
    run = corral("nodes", option)
    assert run.returncode == 64 and said in run.stderr


def test_run_fails_with_125_where_it_fails_itself(corral):
    assert corral("run").returncode == 125
    assert corral("run", "--cpus", "many", "--", "true").returncode == 125
    assert corral("run", "--", "true").returncode == 125


def test_the_example_job_file_is_a_good_one_and_the_unknown_key_is_named(corral, tmp_path):
    example = corral("init").stdout
    path = tmp_path / "hello.job"
    path.write_text(example)
    assert corral("submit", path).returncode == 78  # the file is fine; there is no cluster
    path.write_text(example.replace("Memory=64M", "Memry=64M"))
    run = corral("submit", "hello.job")
    line = example.splitlines().index("Memory=64M") + 1
    assert run.returncode == 65
    assert run.stderr == (f"corral: hello.job:{line}: [Resources] Memry=64M: unknown key, did you mean Memory= ? "
                          "(corral-job(5))\n")


def test_a_bad_amount_and_a_missing_file_are_named(corral, tmp_path):
    path = tmp_path / "bad.job"
    path.write_text("[Task]\nExecStart=/bin/true\n[Resources]\nMemory=lots\n")
    run = corral("submit", "bad.job")
    assert run.returncode == 65 and run.stderr.startswith("corral: bad.job:4: [Resources] Memory=lots: ")
    run = corral("submit", "nowhere.job")
    assert run.returncode == 66 and "nowhere.job" in run.stderr


def test_without_a_cluster_the_way_to_one_is_shown(corral):
    run = corral("ps")
    assert run.returncode == 78 and "corral dev" in run.stderr


@pytest.fixture
def certificates(corral, tmp_path):
    assert corral("tls", "init", "--dir", tmp_path).returncode == 0
    assert corral("tls", "issue", "operator", "me", "--dir", tmp_path).returncode == 0
    return {"CORRAL_TLS_CA": tmp_path / "ca.pem", "CORRAL_TLS_CERT": tmp_path / "operator-me.pem",
            "CORRAL_TLS_KEY": tmp_path / "operator-me-key.pem"}


def test_an_unreachable_master_is_named_with_what_to_do(corral, certificates):
    run = corral("ps", env={**certificates, "CORRAL_MASTER": "127.0.0.1:1"})
    assert run.returncode == 69
    assert "127.0.0.1:1" in run.stderr and "Connection refused" in run.stderr and "CORRAL_MASTER" in run.stderr


def test_keys_are_for_their_owner_only_and_a_ca_is_not_replaced(corral, certificates, tmp_path):
    for name in ("ca-key.pem", "operator-me-key.pem"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    again = corral("tls", "init", "--dir", tmp_path)
    assert again.returncode == 73 and "ca" in again.stderr
    assert corral("tls", "issue", "king", "me", "--dir", tmp_path).returncode == 64
    text = subprocess.run(["openssl", "x509", "-in", certificates["CORRAL_TLS_CERT"], "-noout", "-text"],
                          capture_output=True, text=True, check=True).stdout
    assert "corral://corral/operator/me" in text and "CN = operator" in text


def test_a_configuration_with_a_missing_certificate_is_refused_by_name(corral, tmp_path):
    conf = tmp_path / "corral.conf"
    conf.write_text(f"[tls]\nca={tmp_path}/ca.pem\ncert={tmp_path}/cert.pem\nkey={tmp_path}/key.pem\n"
                    f"[master]\nstate_dir={tmp_path}/m\n"
                    f"[agent]\nstate_dir={tmp_path}/a\nexecutor_listen=127.0.0.1:0\nmasters=127.0.0.1:1\n")
    for program in ("corral-master", "corral-agent"):
        for verb in ("run", "check"):
            run = corral(verb, "--config", conf, program=program)
            assert run.returncode == 78 and str(tmp_path) in run.stderr and ".pem" in run.stderr, (program, run)


@pytest.mark.parametrize("program, role", [("corral-master", "master"), ("corral-agent", "agent")])
def test_check_names_the_one_file_that_is_missing(corral, tmp_path, program, role):
    tls = tmp_path / "tls"
    assert corral("tls", "init", "--dir", tls).returncode == 0
    assert corral("tls", "issue", role, "me", "--dir", tls).returncode == 0
    conf = tmp_path / "corral.conf"
    files = {"ca": tls / "ca.pem", "cert": tls / f"{role}-me.pem", "key": tls / f"{role}-me-key.pem"}
    for missing in (None, *files):
        lines = [f"{k}={tmp_path / 'nowhere.pem' if k == missing else path}\n" for k, path in files.items()]
        conf.write_text("[tls]\n" + "".join(lines))
        run = corral("check", "--config", conf, program=program)
        assert run.returncode == (78 if missing else 0), (missing, run)
        assert run.stderr.count("nowhere.pem") == (1 if missing else 0), (missing, run)


def test_an_unknown_key_of_corral_conf_is_named_with_its_place(corral, tmp_path):
    conf = tmp_path / "corral.conf"
    conf.write_text("[master]\nlisen=127.0.0.1:5050\n")
    for program in ("corral-master", "corral-agent"):
        run = corral("check", "--config", conf, program=program)
        assert run.returncode == 78, (program, run)
        assert f"{conf}:2:" in run.stderr and "did you mean listen" in run.stderr
