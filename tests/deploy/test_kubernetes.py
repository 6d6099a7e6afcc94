"""
deploy/kubernetes as kustomize renders it: valid, restricted, and in step with the program.

What is read here is kept in ``rendered/``; test_system.py asks the real kustomize whether it says
the same.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any

import click
import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from support import dockerfile, kustomize

from syncer import __version__
from syncer.cli import main
from syncer.config import load_credentials, load_settings
from syncer.errors import ExitCode
from syncer.shutdown import GRACE_S, LAST_S

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("1.31", "1.34", kubernetes_validate.latest_version())
"""The oldest that has all that is used as stable, one between, the newest that is known."""

Resource = dict[str, Any]
ALL = [(overlay, each) for overlay in kustomize.OVERLAYS for each in kustomize.documents(overlay)]


def named(pair: tuple[str, Resource]) -> str:
    overlay, each = pair
    return f"{overlay}-{each['kind']}"


def of_kind(overlay: str, kind: str) -> list[Resource]:
    return [each for each in kustomize.documents(overlay) if each["kind"] == kind]


def template(each: Resource) -> Resource:
    spec = each["spec"]
    if each["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    found: Resource = spec["template"]
    return found


WORKLOADS = [pair for pair in ALL if pair[1]["kind"] in {"Deployment", "CronJob", "Job"}]
PODS = [(overlay, template(each)) for overlay, each in WORKLOADS]
CONTAINERS = [
    (overlay, pod, container)
    for overlay, pod in PODS
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
]
each_resource = pytest.mark.parametrize("pair", ALL, ids=map(named, ALL))
each_workload = pytest.mark.parametrize("pair", WORKLOADS, ids=map(named, WORKLOADS))


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_what_is_kept_was_rendered_from_the_files_as_they_are(overlay: str) -> None:
    expected = f"# inputs: {kustomize.digest()}"

    assert expected == kustomize.kept(overlay).splitlines()[0], (
        "run: uv run python tests/support/kustomize.py"
    )


@each_resource
def test_every_resource_is_valid_strictly(pair: tuple[str, Resource]) -> None:
    _, each = pair
    if each["kind"] == "ServiceMonitor":
        # The model drops what it does not know: what comes back is what it knew.
        model = ServiceMonitor.model_validate(each)
        assert each == model.model_dump(by_alias=True, exclude_unset=True)
        return
    for version in VERSIONS:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_word_that_kubernetes_does_not_know_is_refused() -> None:
    (service,) = of_kind("production", "Service")
    service["spec"]["selektor"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="selektor"):
        kubernetes_validate.validate(service, VERSIONS[0], strict=True)


def test_a_word_that_the_operator_does_not_know_does_not_come_back() -> None:
    (monitor,) = of_kind("production", "ServiceMonitor")
    monitor["spec"]["endpoints"][0]["prot"] = "http"
    model = ServiceMonitor.model_validate(monitor)

    assert monitor != model.model_dump(by_alias=True, exclude_unset=True)


@each_workload
def test_every_pod_is_restricted_by_the_pod_security_standard(pair: tuple[str, Resource]) -> None:
    spec = template(pair[1])["spec"]

    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"configMap", "emptyDir", "secret", "name"}
    assert all(volume.keys() <= allowed for volume in spec["volumes"])
    for container in spec.get("initContainers", []) + spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("runAsNonRoot", True) is True
        assert not context.get("privileged")
        assert not any("hostPort" in port for port in container.get("ports", ()))
        # Beyond the standard.
        assert context["readOnlyRootFilesystem"] is True


@each_workload
def test_every_pod_runs_as_the_user_of_the_image_and_holds_no_token(
    pair: tuple[str, Resource],
) -> None:
    spec = template(pair[1])["spec"]
    context = spec["securityContext"]

    assert (context["runAsUser"], context["runAsGroup"]) == dockerfile.user()
    assert context["fsGroup"] == dockerfile.user()[1]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "syncer"
    # A Service of this name would set SYNCER_SERVICE_HOST, which is no key of the configuration.
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] >= max(15, GRACE_S + LAST_S)


def test_every_container_has_the_image_of_this_version_and_bounds_on_memory() -> None:
    for _, _, container in CONTAINERS:
        assert container["image"] == f"syncer:{__version__}"
        assert container["resources"]["requests"]["memory"] == "96Mi"
        assert container["resources"]["limits"]["memory"] == "256Mi"


def test_every_command_is_one_of_the_program() -> None:
    """The image's entry point is the program; ``args`` is what stands behind it."""
    seen = set()
    for _, _, container in CONTAINERS:
        assert "command" not in container
        name, *arguments = container["args"]
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        command.make_context(name, list(arguments))
        seen.add(name)

    assert seen == {"migrate", "run", "verify", "backfill"}


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_the_configuration_is_what_the_program_takes(overlay: str, tmp_path: Path) -> None:
    (config,) = of_kind(overlay, "ConfigMap")
    file = tmp_path / "config.toml"
    file.write_text(config["data"]["config.toml"])
    settings = load_settings(file, {"DATABASE_URL": "postgresql://syncer@postgres/syncer"})

    assert settings.warnings == ()
    assert settings.database.embedded == "never"
    assert settings.database.migrate == "manual"
    assert settings.http.address is not None
    assert settings.http.address == ("0.0.0.0", 8787)  # noqa: S104 - a pod's own address
    for _, pod in [pair for pair in PODS if pair[0] == overlay]:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]


def test_every_container_reads_that_configuration_and_the_database_from_a_secret() -> None:
    for _, pod, container in CONTAINERS:
        environ = {each["name"]: each for each in container["env"]}
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert environ["SYNCER_CONFIG"]["value"] == f"{mounts['config']}/config.toml"
        assert environ["DATABASE_URL"]["valueFrom"]["secretKeyRef"]["key"] == "url"
        # All that the image writes to is a volume, and each volume is declared.
        assert mounts.keys() <= {volume["name"] for volume in pod["spec"]["volumes"]}
        assert {dockerfile.value("WORKDIR"), "/tmp"} <= set(mounts.values())  # noqa: S108


def test_no_secret_has_a_value_here() -> None:
    assert [named(pair) for pair in ALL if pair[1]["kind"] == "Secret"] == []


@pytest.mark.parametrize("overlay", ["production", "backfill"])
def test_the_credentials_are_files_that_the_program_reads(overlay: str, tmp_path: Path) -> None:
    for _, pod in [pair for pair in PODS if pair[0] == overlay]:
        (container,) = pod["spec"]["containers"]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "source"]
        environ = {}
        for each in container["env"]:
            if each["name"].startswith("SCENARIO_"):
                folder, _, key = each["value"].rpartition("/")
                assert folder == mount["mountPath"]
                (tmp_path / key).write_text(key)
                environ[each["name"]] = str(tmp_path / key)
        assert load_credentials("auto", environ, for_daemon=True).kind == "basic"
        assert len(environ) == 2


@pytest.mark.parametrize("overlay", ["production", "minimal"])
def test_the_probes_ask_where_the_daemon_listens(overlay: str) -> None:
    (deployment,) = of_kind(overlay, "Deployment")
    (daemon,) = template(deployment)["spec"]["containers"]
    (port,) = daemon["ports"]
    asked = {
        name: daemon[name]["httpGet"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert port["containerPort"] == 8787
    assert {probe["port"] for probe in asked.values()} == {port["name"]}
    assert [probe["path"] for probe in asked.values()] == ["/healthz", "/healthz", "/readyz"]
    (service,) = of_kind(overlay, "Service")
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    # The label "job" of the metrics, by which the alerts go.
    assert service["metadata"]["name"] == "syncer"


def test_two_replicas_are_kept_apart_and_one_of_them_at_least_up() -> None:
    (deployment,) = of_kind("production", "Deployment")
    (budget,) = of_kind("production", "PodDisruptionBudget")
    spread = template(deployment)["spec"]["topologySpreadConstraints"]

    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["maxUnavailable"] == 1
    assert {each["topologyKey"] for each in spread} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }


def test_selectors_find_the_daemon_and_not_the_jobs() -> None:
    (deployment,) = of_kind("production", "Deployment")
    daemon = template(deployment)["metadata"]["labels"]
    (service,) = of_kind("production", "Service")
    (monitor,) = of_kind("production", "ServiceMonitor")
    (budget,) = of_kind("production", "PodDisruptionBudget")
    (policy,) = of_kind("production", "NetworkPolicy")
    (cronjob,) = of_kind("production", "CronJob")
    job = template(cronjob)["metadata"]["labels"]

    for selector in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= daemon.items()
        assert not selector.items() <= job.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= daemon.items()
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    everybody = policy["spec"]["podSelector"]["matchLabels"].items()
    assert everybody <= daemon.items()
    assert everybody <= job.items()


@pytest.mark.parametrize("overlay", kustomize.OVERLAYS)
def test_the_network_is_open_for_what_is_needed_and_nothing_else(overlay: str) -> None:
    (policy,) = of_kind(overlay, "NetworkPolicy")
    out = {
        (port["port"], port["protocol"])
        for rule in policy["spec"]["egress"]
        for port in rule["ports"]
    }
    into = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert out == {(53, "UDP"), (53, "TCP"), (5432, "TCP"), (443, "TCP")}
    assert into == ["http"]


RETRIED = {ExitCode.UNAVAILABLE, ExitCode.TERMINATED, ExitCode.INTERRUPTED}


@pytest.mark.parametrize(
    ("overlay", "kind", "also_retried"),
    [("production", "CronJob", {ExitCode.LEASE_HELD}), ("backfill", "Job", set())],
)
def test_a_job_fails_at_once_for_what_trying_again_does_not_mend(
    overlay: str, kind: str, also_retried: set[ExitCode]
) -> None:
    """Differences (5) among them: the failed Job is what alerts."""
    (job,) = of_kind(overlay, kind)
    spec = job["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else job["spec"]
    rule = spec["podFailurePolicy"]["rules"][0]
    (container,) = template(job)["spec"]["containers"]

    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert set(rule["onExitCodes"]["values"]) == set(ExitCode) - RETRIED - also_retried - {
        ExitCode.OK
    }
    # A policy asks for it.
    assert template(job)["spec"]["restartPolicy"] == "Never"


def test_the_backfill_is_alone_and_the_schema_comes_before_whatever_needs_it() -> None:
    kinds = {each["kind"] for each in kustomize.documents("backfill")}
    assert not {"Deployment", "CronJob", "Service", "PodDisruptionBudget"} & kinds

    for overlay, kind in (("production", "Deployment"), ("backfill", "Job")):
        (workload,) = of_kind(overlay, kind)
        (before,) = template(workload)["spec"]["initContainers"]
        assert before["args"] == ["migrate"]


def test_the_namespace_refuses_whatever_is_less_than_restricted() -> None:
    (namespace,) = of_kind("production", "Namespace")

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for overlay, each in ALL:
        if overlay == "production" and each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == namespace["metadata"]["name"]


ALERTS = """
# A file of rules, as Prometheus itself reads it.
groups:
  - name: syncer
    rules:
      - alert: SyncerDown
        expr: up{job="syncer"} == 0
"""


def test_the_line_that_hands_the_alerts_to_the_operator_makes_what_it_takes(tmp_path: Path) -> None:
    text = (kustomize.MANIFESTS / "components/monitoring/kustomization.yaml").read_text()
    found = re.search(r"^#   (\{ printf.*?\}) \| kubectl", text, re.MULTILINE | re.DOTALL)
    assert found
    script = found[1].replace("\n#", "\n")
    assert "deploy/prometheus/alerts.yaml" in script
    (tmp_path / "alerts.yaml").write_text(ALERTS)
    made = subprocess.run(
        ["sh", "-c", script.replace("deploy/prometheus/", "")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    rule = yaml.safe_load(made.stdout)

    assert rule == PrometheusRule.model_validate(rule).model_dump(by_alias=True, exclude_unset=True)
    assert rule["spec"] == yaml.safe_load(ALERTS)
