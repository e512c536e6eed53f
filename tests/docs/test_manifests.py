"""The manifests of the how-to pages, which nothing here can apply, fit the image that they run."""

from __future__ import annotations

import re
from typing import Any

from blocks import ROOT, blocks
from ruamel.yaml import YAML


def job() -> Any:
    """The Kubernetes job."""
    page = ROOT / "docs" / "how-to" / "kubernetes.md"
    (text,) = (block.text for block in blocks(page) if block.title == "rdzv-job.yaml")
    return YAML(typ="safe", pure=True).load(text)["spec"]["template"]["spec"]


def test_the_pod_has_as_few_rights_as_the_compose_file() -> None:
    """No capability, a read-only root, an ordinary user, and the profile of this repository."""
    compose = YAML(typ="safe", pure=True).load((ROOT / "docker" / "compose.yaml").read_text())["services"]["harness"]
    pod = job()
    (container,) = pod["containers"]
    rights = container["securityContext"]
    assert rights["capabilities"]["drop"] == compose["cap_drop"] == ["ALL"]
    assert rights["readOnlyRootFilesystem"] is compose["read_only"] is True
    assert rights["allowPrivilegeEscalation"] is ("no-new-privileges:true" not in compose["security_opt"])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "Localhost"
    assert pod["automountServiceAccountToken"] is False


def test_the_pod_writes_where_the_image_does() -> None:
    """The folder of run directories, and the home; every mount has its volume."""
    dockerfile = (ROOT / "docker" / "harness" / "Dockerfile").read_text()
    (runs,) = re.findall(r"^RUN mkdir -m 1777 (\S+)$", dockerfile, re.MULTILINE)
    (home,) = re.findall(r"^ENV .*\bHOME=(\S+)", dockerfile, re.MULTILINE)
    pod = job()
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts) == {runs, home}
    assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
    (report,) = (word for word in container["args"] if word.startswith("/"))
    assert report.startswith(f"{runs}/")
