"""The settings of one process, read once by the command line and handed down.

Arguments beat environment variables (prefix ``CARECUE_``), which beat files in the
secrets directory, which beat one TOML file. Endpoints, plans and preferences are data
in the database and never settings.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mappings.errors import ConfigurationError
from mappings.secret import Secret


def _hide(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(str(value))


Hidden = Annotated[Secret, PlainValidator(_hide)]


class Settings(BaseSettings):
    """Everything that a process may be told from outside."""

    model_config = SettingsConfigDict(
        env_prefix="CARECUE_", frozen=True, extra="forbid"
    )

    home: Path = Field(
        default=Path("~/.local/share/carecue"),
        description="Folder for the embedded database, keys and the sandbox's data.",
    )
    database_url: str | None = Field(
        default=None,
        description="PostgreSQL 15 or newer; without it `carecue demo` alone runs, on its own.",
    )
    secret_key_file: Path | None = Field(
        default=None,
        description="File (mode 0600) with one or two keys that seal secrets at rest.",
    )
    content_dir: Path | None = Field(
        default=None,
        description="Folder with a site's own plans, wordings and value sets as FHIR JSON.",
    )
    public_url: str = Field(
        default="http://localhost:8080",
        description="Where EHRs, providers and browsers reach the public listener.",
    )
    listen_host: str = Field(
        default="127.0.0.1", description="Address of the public listener."
    )
    listen_port: int = Field(default=8080, description="Port of the public listener.")
    console_host: str = Field(
        default="127.0.0.1", description="Address of the administrators' listener."
    )
    console_port: int = Field(
        default=8081, description="Port of the administrators' listener."
    )
    movable_clock: bool = Field(
        default=False,
        description="Let the clock be moved; refused unless every endpoint is a sandbox.",
    )
    poll_seconds: float = Field(
        default=60, gt=0, description="Seconds between polls of each resource type."
    )
    cds_seconds: float = Field(
        default=0.5,
        gt=0,
        le=10,
        description="Seconds that an EHR is made to wait for a CDS Hooks card.",
    )
    worker_concurrency: int = Field(
        default=2, ge=1, le=64, description="Shards that one worker drains at a time."
    )
    sms_base_url: str | None = Field(
        default=None, description="Base URL of the Twilio-shaped SMS API."
    )
    sms_account_sid: str = Field(default="", description="Account SID of the SMS API.")
    sms_auth_token: Hidden = Field(
        default=Secret(""),
        description="Auth token of the SMS API; also checks its callbacks.",
    )
    sms_from_number: str = Field(
        default="", description="Number that texts are sent from, E.164."
    )
    smtp_host: str | None = Field(default=None, description="SMTP server for e-mail.")
    smtp_port: int = Field(default=587, description="Port of the SMTP server.")
    smtp_from: str = Field(default="", description="Sender address of e-mails.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the SMTP connection is protected."
    )
    smtp_user: str = Field(default="", description="User name at the SMTP server.")
    smtp_password: Hidden = Field(
        default=Secret(""), description="Password at the SMTP server."
    )
    log_level: str = Field(default="INFO", description="Least level that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- fixed signature
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, secrets, TOML file."""
        file = os.environ.get("CARECUE_CONFIG_FILE")
        toml = TomlConfigSettingsSource(settings_cls, file) if file else None
        rest = (toml,) if toml else ()
        return (init_settings, env_settings, file_secret_settings, *rest)

    @property
    def secret_key_path(self) -> Path:
        """Where the sealing keys are: the setting, or ``secret.key`` at home."""
        return self.secret_key_file or self.home.expanduser() / "secret.key"


def read_settings(**arguments: Any) -> Settings:
    """Read the settings once; raises ConfigurationError naming each bad one."""
    directory = os.environ.get("CARECUE_SECRETS_DIR")
    try:
        return Settings(_secrets_dir=directory, **arguments)
    except ValidationError as error:
        faults = "; ".join(
            f"CARECUE_{'_'.join(str(part) for part in fault['loc']).upper()}: "
            f"{fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise ConfigurationError(f"Settings are not usable: {faults}") from None


def list_values(settings: Settings) -> dict[str, Any]:
    """Return what is set, secrets revealed: for a process or a file of the same owner."""
    given = settings.model_dump(exclude_defaults=True)
    held = {name: one for name, one in given.items() if isinstance(one, Secret)}
    plain = settings.model_dump(exclude_defaults=True, mode="json", exclude=set(held))
    return {**plain, **{name: one.reveal() for name, one in held.items()}}


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment that gives a child process the same settings."""
    values = list_values(settings)
    child = {f"CARECUE_{name.upper()}": str(value) for name, value in values.items()}
    return {**os.environ, **child}
