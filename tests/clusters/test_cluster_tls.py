"""Dask with TLS: a driver plays with a certificate of the site's authority, and is refused without one.

The certificates are made with the program `openssl`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.clusters.parts import tls

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
SITE = """
import sys, distributed
from distributed.security import Security
ca, *files = sys.argv[1:]
sides = ("scheduler", "worker", "client")
of = {f"tls_{side}_{what}": path for side in sides for what, path in zip(("cert", "key"), files)}
security = Security(tls_ca_file=ca, require_encryption=True, **of)
with distributed.LocalCluster(
    n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0", silence_logs=50,
    protocol="tls://", security=security,
) as running:
    print(running.scheduler_address, flush=True)
    sys.stdin.read()
"""
TEXT = """\
schema: rdzv-scenario/v1
title: A rank joins
world: {size: 1, timeout: 5s}
workload:
  - {id: join, do: rendezvous}
expect:
  - {id: all-join, step: join, is: ok}
"""


@dataclass(frozen=True)
class Site:
    """A scheduler with one worker, and the folder with certificates."""

    address: str
    folder: Path

    def settings(self, authority: str, name: str) -> Mapping[str, str]:
        """Dask's configuration of a driver that trusts an authority and has this certificate."""
        files = {"CA_FILE": f"{authority}.pem", "CLIENT__CERT": f"{name}.pem", "CLIENT__KEY": f"{name}.key"}
        return {tls.PREFIX + key: str(self.folder / file) for key, file in files.items()}

    def play(self, settings: Mapping[str, str], address: str = "") -> subprocess.CompletedProcess[str]:
        """A campaign of two plays."""
        words = ["run", "joins.rdzv.yaml", "--subject", "echo", "--repeat", "2"]
        command = [sys.executable, "-m", "harness.cli", "--no-config", *words]
        command += ["--cluster", f"dask:{address or self.address}"]
        clean = {key: value for key, value in os.environ.items() if not key.startswith("DASK_")}
        return subprocess.run(command, cwd=self.folder, env={**clean, **settings}, capture_output=True, text=True)


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def _authority(folder: Path, name: str) -> None:
    made = ("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    _openssl(folder, "req", "-x509", *CURVE, "-days", "2", *made)


def _certificate(folder: Path, authority: str, name: str) -> None:
    _openssl(folder, "req", *CURVE, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    signed_by = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signed_by, "-days", "2", "-out", f"{name}.pem")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A scheduler that talks TLS only, in processes of its own."""
    pytest.importorskip("distributed")
    if shutil.which("openssl") is None:
        pytest.skip("no program openssl, which makes the certificates")
    folder = tmp_path_factory.mktemp("tls")
    (folder / "joins.rdzv.yaml").write_text(TEXT)
    for authority, names in (("ours", ("site", "driver")), ("theirs", ("stranger",))):
        _authority(folder, authority)
        for name in names:
            _certificate(folder, authority, name)
    files = [str(folder / file) for file in ("ours.pem", "site.pem", "site.key")]
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen(
            [sys.executable, "-c", SITE, *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(folder)},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("tls://"), (folder / "log").read_text()
            yield Site(address, folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_driver_with_a_certificate_plays(site: Site) -> None:
    """Rows come back over TLS."""
    done = site.play(site.settings("ours", "driver"))
    assert (done.returncode, "2 runs: 2 passed" in done.stdout) == (0, True), done.stderr + done.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"DASK_DISTRIBUTED__COMM__TLS__CA_FILE is not set; TLS needs files in .*CLIENT__CERT, .*CLIENT__KEY"),
        ({tls.PREFIX + "CA_FILE": "ours.pem"}, "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT is not set"),
        (
            {tls.PREFIX + "CA_FILE": "ours.pem", tls.PREFIX + "CLIENT__CERT": "gone.pem"},
            r"there is no file gone\.pem; correct DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT",
        ),
    ],
)
def test_a_driver_without_a_certificate_is_refused(site: Site, settings: Mapping[str, str], said: str) -> None:
    """Before it connects, with the name of what is missing."""
    done = site.play(settings)
    assert done.returncode == 2, done.stderr
    assert re.search(rf"--cluster dask:tls://\S+: {said}", done.stderr), done.stderr


@pytest.mark.parametrize(("authority", "name"), [("ours", "stranger"), ("theirs", "stranger"), ("theirs", "driver")])
def test_a_certificate_of_another_authority_is_refused(site: Site, authority: str, name: str) -> None:
    """By the scheduler, or by the driver, which trusts no other scheduler."""
    done = site.play(site.settings(authority, name))
    assert done.returncode == 2, done.stderr
    assert "does each side trust the authority of the other's certificate?" in done.stderr


def test_without_tls_in_its_address_the_driver_says_how_to_write_it(site: Site) -> None:
    """Nothing is played in clear text."""
    place = site.address.removeprefix("tls:")
    done = site.play(site.settings("ours", "driver"), place)
    assert done.returncode == 2, done.stderr
    assert f"If it uses TLS, write dask:tls:{place}" in done.stderr
