"""The embedded server: one owner, taken over after a kill, bound to its version."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest

from mappings.errors import StorageError
from middleware.storage.embedded import Embedded
from middleware.storage.owner import clear_stale_pid
from tests.conftest import FAST

OWNER = """
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from middleware.storage.embedded import Embedded
print(Embedded(Path(sys.argv[1]), settings={"fsync": "off"}).start(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="carecue-home-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def owner(home):
    """Another process that owns the server."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    yield process, url
    process.kill()
    process.communicate()


def test_data_survive_a_stop_and_strangers_are_kept_out(home):
    server = Embedded(home, settings=FAST)
    url = server.start()
    assert server.start() == url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        shown = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('fsync')"
        ).fetchone()
    assert shown == ("", "off")
    assert (
        server.data / "pg_hba.conf"
    ).read_text() == "local all all peer map=carecue\n"
    server.stop()
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    with Embedded(home, settings=FAST), psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_long_path_gets_its_socket_elsewhere_and_leaves_nothing(home):
    server = Embedded(home / ("long-" * 20), settings=FAST)
    url = server.start()
    folder = Path(parse_qs(urlsplit(url).query)["host"][0])
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert folder.stat().st_mode & 0o022 == 0
    server.stop()
    assert not folder.parent.exists()


def test_a_second_owner_is_refused_and_named_the_first(home, owner):
    process, _ = owner
    with pytest.raises(StorageError, match=rf"in use by .* \(process {process.pid}\)"):
        Embedded(home).start()


def test_the_server_of_a_killed_owner_is_taken_over(home, owner):
    process, url = owner
    with psycopg.connect(url) as connection:
        before = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Embedded(home) as server, psycopg.connect(server.start()) as connection:
        after = connection.execute("SELECT pg_postmaster_start_time()").fetchone()
    assert after == before


def test_data_of_another_major_version_are_refused_with_the_way_out(home):
    (home / "PG_MAJOR").write_text("16\n")
    with pytest.raises(StorageError, match=r"pg_dump.*pg_restore"):
        Embedded(home).start()
    assert sorted(path.name for path in home.iterdir()) == ["PG_MAJOR", "owner.lock"]


@pytest.mark.parametrize(
    "text",
    ["", "not a number\n", "999999999\n", f"{os.getpid()}\n"],
    ids=["empty", "words", "nobody", "ours"],
)
def test_a_stale_pid_file_is_cleared(home, text):
    file = home / "postmaster.pid"
    file.write_text(text)
    clear_stale_pid(home)
    assert not file.exists()


def test_a_server_killed_with_its_pid_file_left_starts_again(home):
    server = Embedded(home)
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    process = psutil.Process(pid)
    process.send_signal(signal.SIGQUIT)
    process.wait(20)
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    lock = server.data / ".s.PGSQL.5432.lock"
    lock.write_text(f"{os.getpid()}\n{server.data}\n1\n5432\n{server.data}\n")
    server.stop()
    with Embedded(home) as again, psycopg.connect(again.start()) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
