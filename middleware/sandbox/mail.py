"""The mail part of the sandbox: the SMTP sink, its control and the pages.

It may not do more than put them together. The phone part comes before it.
"""

import flask

from middleware.sandbox import mail_api, mail_pages
from middleware.sandbox.mailboxes import Mailboxes


def register(app: flask.Flask) -> None:
    """Add the mailboxes as a service, `extensions["mail"]`, with API and pages.

    `extensions["mail"].port` is the real port once the services are started.
    """
    extensions = app.extensions
    port = extensions["options"].smtp_port
    mailboxes = Mailboxes(extensions["clock"].now, extensions["journal"], port)
    extensions["mail"] = mailboxes
    extensions["services"].append(mailboxes)
    mail_api.register(app)
    mail_pages.register(app)
