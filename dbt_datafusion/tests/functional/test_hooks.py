"""dbt-tests-adapter's folder `hooks`."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.hooks import test_model_hooks as model_hooks
from dbt.tests.adapter.hooks import test_run_hooks as run_hooks


class Context:
    """The base class compares with Postgres: its database, host, user and password are none of ours."""

    def check_hooks(self, state: str, project: Any, host: Any, count: int | None = None) -> None:
        rows = self.get_ctx_vars(state, project) if count is None else self.get_ctx_vars(state, count, project)
        for row in [rows] if isinstance(rows, dict) else rows:
            assert (row["test_state"], row["target_name"], row["target_threads"]) == (state, "default", 4)
            assert (row["target_type"], row["target_schema"]) == ("datafusion", project.test_schema)
            assert row["run_started_at"]
            assert row["invocation_id"]
            assert row["thread_id"].startswith("Thread-") or row["thread_id"] == "MainThread"


class ModelContext(Context):
    def check_hooks(self, state: str, project: Any, host: Any, count: int | None = 1) -> None:
        super().check_hooks(state, project, host, count)


def both_hooks(before: str, after: str) -> dict[str, Any]:
    """The base class's hooks without its `vacuum`, which DataFusion lacks; the hooks outside a transaction are kept."""
    idle = {"sql": "select 1", "transaction": False}
    return {
        "models": {
            "test": {
                before: [model_hooks.MODEL_PRE_HOOK, idle],
                after: [idle, model_hooks.MODEL_POST_HOOK],
            }
        }
    }


class TestDuplicateHooksInConfigs(model_hooks.BaseDuplicateHooksInConfigs):
    pass


class TestHookRefs(ModelContext, model_hooks.BaseHookRefs):
    pass


class TestHooksRefsOnSeeds(model_hooks.BaseHooksRefsOnSeeds):
    pass


class TestPrePostModelHooks(ModelContext, model_hooks.BasePrePostModelHooks):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return both_hooks("pre-hook", "post-hook")


class TestPrePostModelHooksInConfig(ModelContext, model_hooks.BasePrePostModelHooksInConfig):
    pass


class TestPrePostModelHooksInConfigKwargs(ModelContext, model_hooks.BasePrePostModelHooksInConfigKwargs):
    pass


class TestPrePostModelHooksInConfigWithCount(ModelContext, model_hooks.BasePrePostModelHooksInConfigWithCount):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return both_hooks("pre-hook", "post-hook")


class TestPrePostModelHooksOnSeeds(model_hooks.BasePrePostModelHooksOnSeeds):
    pass


class TestPrePostModelHooksOnSeedsPlusPrefixed(model_hooks.BasePrePostModelHooksOnSeedsPlusPrefixed):
    pass


class TestPrePostModelHooksOnSeedsPlusPrefixedWhitespace(
    model_hooks.BasePrePostModelHooksOnSeedsPlusPrefixedWhitespace
):
    pass


class TestPrePostModelHooksOnSnapshots(model_hooks.BasePrePostModelHooksOnSnapshots):
    pass


class TestPrePostSnapshotHooksInConfigKwargs(model_hooks.BasePrePostSnapshotHooksInConfigKwargs):
    pass


class TestAfterRunHooks(run_hooks.BaseAfterRunHooks):
    pass


class TestPrePostRunHooks(Context, run_hooks.BasePrePostRunHooks):
    pass


class TestPrePostModelHooksUnderscores(ModelContext, model_hooks.BasePrePostModelHooks):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        return both_hooks("pre_hook", "post_hook")
