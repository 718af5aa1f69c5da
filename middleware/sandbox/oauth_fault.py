"""Refusals of the authorization server, in the words of OAuth.

It may not know FHIR: its errors are JSON of RFC 6749 section 5.2, or are told to
the app through its redirect URI (section 4.1.2.1).
"""

from flask import Response, jsonify


class OAuthFault(Exception):  # noqa: N818 - OAuth calls these errors, we refuse
    """A refusal: OAuth's error word, a sentence for the developer, a status."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status
        self.headers = headers or {}


def answer_fault(fault: OAuthFault) -> Response:
    """Answer a refusal as JSON that no cache keeps."""
    response = jsonify(error=fault.error, error_description=fault.description)
    response.status_code = fault.status
    response.headers.update(fault.headers)
    return keep_out_of_caches(response)


def keep_out_of_caches(response: Response) -> Response:
    """Answer the response with the headers of RFC 6749 section 5.1."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response
