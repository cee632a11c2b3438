"""dbt-tests-adapter's folder `persist_docs`."""

from __future__ import annotations

from dbt.tests.adapter.persist_docs import test_persist_docs as persist_docs


class TestPersistDocs(persist_docs.BasePersistDocs):
    pass


class TestPersistDocsAllColumnsMissing(persist_docs.BasePersistDocsAllColumnsMissing):
    pass


class TestPersistDocsColumnMissing(persist_docs.BasePersistDocsColumnMissing):
    pass


class TestPersistDocsCommentOnQuotedColumn(persist_docs.BasePersistDocsCommentOnQuotedColumn):
    pass


class TestPersistDocsQuotedColumnCaseSensitive(persist_docs.BasePersistDocsQuotedColumnCaseSensitive):
    pass


class TestPersistDocsQuotedDescriptionNotAppliedOnMismatch(
    persist_docs.BasePersistDocsQuotedDescriptionNotAppliedOnMismatch
):
    pass
