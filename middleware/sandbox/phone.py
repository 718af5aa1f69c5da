"""The phone part of the sandbox: the phones, the provider's API and the pages.

It may not do more than put them together.
"""

import flask

from middleware.sandbox import phone_api, phone_pages
from middleware.sandbox.phones import Phones


def register(app: flask.Flask) -> None:
    """Add the phones as a service, `extensions["phone"]`, with API and pages."""
    extensions = app.extensions
    phones = Phones(extensions["clock"].now, extensions["journal"])
    extensions["phone"] = phones
    extensions["services"].append(phones)
    phone_api.register(app)
    phone_pages.register(app)
