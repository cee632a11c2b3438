"""The Kubernetes API, from inside a pod or by a kubeconfig."""

from pathlib import Path
from typing import Any

import dagster as dg

from dfp_platform.errors import ConfigurationError

_HERE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def api_client() -> Any:
    """A client of the cluster that this process is in, or else that KUBECONFIG names.

    Raises:
        ConfigurationError: the package is not installed, or neither is there.
    """
    _refuse_missing_packages("spark_application")
    from kubernetes import client, config
    from urllib3 import Retry

    known = client.Configuration()
    try:
        if _HERE.exists():
            config.load_incluster_config(client_configuration=known)
        else:
            config.load_kube_config(client_configuration=known)
    except config.ConfigException as error:
        raise ConfigurationError(
            f"no Kubernetes cluster is known here: {error}",
            hint="run it in a pod with a service account, or set KUBECONFIG",
            setting="spark_application",
        ) from error
    known.retries = Retry(total=6, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))  # a minute, or less
    return client.ApiClient(known)


def step_pods() -> dg.ExecutorDefinition:
    """A Kubernetes job for each step, under what the run launcher of the instance says of run workers.

    Raises ConfigurationError: the packages are not installed.
    """
    _refuse_missing_packages("step_process")
    from dagster_k8s import k8s_job_executor

    return k8s_job_executor


def _refuse_missing_packages(setting: str) -> None:
    from importlib.util import find_spec

    if find_spec("kubernetes") is None or find_spec("dagster_k8s") is None:
        raise ConfigurationError(
            "Kubernetes needs packages that are not installed",
            hint="pip install 'dfp-platform[cluster]'",
            setting=setting,
        )


def namespace_here() -> str:
    """The namespace of this pod, or that of the kubeconfig's context; `default` else."""
    if _HERE.exists():
        return _HERE.read_text().strip()
    from kubernetes import config

    _, active = config.list_kube_config_contexts()
    return active["context"].get("namespace", "default")
