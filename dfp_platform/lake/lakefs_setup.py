"""A lakeFS server that nobody has used yet: its first administrator, made once."""

from __future__ import annotations

from dfp_platform.errors import ConfigurationError, UnreachableError
from dfp_platform.lake.lakefs_server import TIMEOUT_S, offer_keys, open_client, refusal, words_of


def make_administrator(name: str) -> bool:
    """Make the administrator whose keys lakeFS's standard places name, on a server that has none yet.

    Returns:
        Whether one was made. A server that has one is left as it is, whatever the keys: the next call tells.
    Raises:
        UnreachableError: the server does not answer. ConfigurationError: no keys, or not a lakeFS server.
        Refused: it said no.
    """
    import lakefs_sdk
    import urllib3

    offer_keys()
    client = open_client()
    api, config = client.sdk_client.internal_api, client.config
    address = config.host.removesuffix("/api/v1")
    key = lakefs_sdk.AccessKeyCredentials(access_key_id=config.username, secret_access_key=config.password)
    try:
        if api.get_setup_state(_request_timeout=TIMEOUT_S).state == "initialized":
            return False
        api.setup(lakefs_sdk.Setup(username=name, key=key), _request_timeout=TIMEOUT_S)
    except urllib3.exceptions.HTTPError as error:
        raise UnreachableError(
            f"the lakeFS server at {address} does not answer: {words_of(error)}",
            hint="start it, then do this again",
            address=address,
        ) from error
    except lakefs_sdk.ApiException as error:
        if error.status == 409:
            return False  # another was quicker
        if error.status == 404:
            raise ConfigurationError(
                f"what answers at {address} is no lakeFS server",
                hint="set LAKEFS_ENDPOINT_URL to one, without a path",
                setting="lakefs_endpoint_url",
            ) from error
        raise refusal(error.status or 0, words_of(error)) from error
    return True
