"""Subscribing at the sandbox EHR: chosen, activated, negotiated, rotated, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from structlog.testing import capture_logs
from werkzeug.serving import make_server

from mappings.endpoint import BackendClient, EndpointKind
from middleware.cli.demo_connect import SCOPE, sandbox_endpoint
from middleware.cli.main import main
from middleware.sandbox.app import Options
from middleware.sandbox.server import Running
from middleware.settings import Settings
from middleware.storage import endpoints
from middleware.storage.database import Database
from middleware.wiring.apps import public_app
from middleware.wiring.runtime import make_runtime, signing_keys
from middleware.wiring.sandbox_control import SandboxControl
