"""The Iceberg REST server: the tables and views of a lake for every engine, each ref of the lake a catalog of its own.

The warehouse that a client names is a branch, a tag or a commit; `GET /v1/config` gives it back as the prefix of all
further paths. `app.create_app` makes the server, one module a part of the specification.
"""
