"""The files that pages load: named by their content, kept for a year, sent packed.

They hold nothing of anybody, so packing them tells nobody anything; a page is never
packed, for what is secret in it stands beside what somebody else may have written.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Request, Response, abort, url_for

from middleware.desk.look import LOOK

STATIC = Path(__file__).parent / "static"
YEAR_SECONDS = 31_536_000


@dataclass(frozen=True)
class Asset:
    """A file as it is and packed; its ``mark`` changes when the file does."""

    content: bytes
    packed: bytes
    mark: str


class Assets:
    """The app's static files, read once."""

    def __init__(self) -> None:
        self._files = {path.name: _read(path) for path in (LOOK, *STATIC.iterdir())}

    def url(self, name: str) -> str:
        """Return the URL of a static file; it changes when the file does."""
        return url_for("smart.static", filename=name, v=self._files[name].mark)

    def send(self, request: Request, name: str) -> Response:
        """Answer a static file, packed where the browser takes that; 404 for another."""
        asset = self._files.get(name) or abort(404)
        packs = bool(request.accept_encodings["gzip"])
        response = Response(
            asset.packed if packs else asset.content,
            mimetype=mimetypes.guess_type(name)[0],
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.vary.add("Accept-Encoding")
        if packs:
            response.content_encoding = "gzip"
        if request.args.get("v") == asset.mark:
            response.cache_control.max_age = YEAR_SECONDS
            response.cache_control.public = True
            response.cache_control.immutable = True
        else:
            response.cache_control.no_cache = True
        response.set_etag(f"{asset.mark}-gzip" if packs else asset.mark)
        response.make_conditional(request)
        return response


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    mark = hashlib.sha256(content).hexdigest()[:12]
    return Asset(content, gzip.compress(content, 9, mtime=0), mark)
