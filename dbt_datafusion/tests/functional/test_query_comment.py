"""dbt-tests-adapter's folder `query_comment`."""

from __future__ import annotations

from dbt.tests.adapter.query_comment import test_query_comment as query_comment


class TestEmptyQueryComments(query_comment.BaseEmptyQueryComments):
    pass


class TestMacroArgsQueryComments(query_comment.BaseMacroArgsQueryComments):
    pass


class TestMacroInvalidQueryComments(query_comment.BaseMacroInvalidQueryComments):
    pass


class TestMacroQueryComments(query_comment.BaseMacroQueryComments):
    pass


class TestNullQueryComments(query_comment.BaseNullQueryComments):
    pass


class TestQueryComments(query_comment.BaseQueryComments):
    pass
