"""What is known of EHRs' sign-ins in frames, in the database, each call one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta

from middleware.storage import sign_in_frames
from middleware.storage.database import Database

SignInFrame = sign_in_frames.SignInFrame


class FrameBook:
    """Remembers which sign-ins refuse the EHR's frame."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, endpoint_id: str, now: datetime, lost_after: timedelta
    ) -> SignInFrame:
        """Return what is known of an endpoint's sign-in."""
        with self._database.single() as tx:
            return sign_in_frames.read_sign_in_frame(tx, endpoint_id, now, lost_after)

    def keep(self, endpoint_id: str, refusal: str, now: datetime) -> None:
        """Keep which header refuses the frame, '' for none."""
        with self._database.single() as tx:
            sign_in_frames.keep_sign_in_frame(tx, endpoint_id, refusal, now)
