"""A real HAPI FHIR server for the live tests, built and run from Maven artefacts.

Loopback only. Knows nothing of the product: it starts, stops and kills a stranger.
"""

import contextlib
import fcntl
import os
import selectors
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PROJECT = Path(__file__).parent / "hapi"
TARGET = PROJECT / "target"
JAR = TARGET / "hapi.jar"
CLASSPATH = TARGET / "classpath"
ARCHIVE = TARGET / "hapi.jsa"
EMPTY = TARGET / "empty"
HOW_TO_GET = (
    "HAPI FHIR needs Java 17 or later and Maven 3.8 or later"
    " (Debian: apt-get install openjdk-17-jdk-headless maven)"
)
JAVA_OPTIONS = (
    "-Xmx768m",
    "-Xss2m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
)


class HapiError(RuntimeError):
    """The server could not be built or did not start; says where its log is."""


def missing_tools() -> list[str]:
    """Commands that are needed and not on the PATH."""
    return [name for name in ("java", "mvn") if shutil.which(name) is None]


def is_built() -> bool:
    """Whether the jar is newer than its sources and every library is still there."""
    sources = [PROJECT / "pom.xml", *(PROJECT / "src").rglob("*.*")]
    outputs = (JAR, CLASSPATH, ARCHIVE, EMPTY / "schema")
    if not all(path.exists() for path in outputs):
        return False
    built = JAR.stat().st_mtime
    if any(path.stat().st_mtime > built for path in sources if path.is_file()):
        return False
    return all(Path(jar).exists() for jar in CLASSPATH.read_text().split(os.pathsep))


def build(timeout: float = 900) -> None:
    """Package the server once; then run it once to keep an empty database of its
    tables and an archive of its loaded classes, which halve every later start.
    """
    with (PROJECT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built():
            _package(timeout)
            _train()


def _package(timeout: float) -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    done = subprocess.run(
        ["mvn", "-q", "-B", "package"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise HapiError(f"mvn package failed:\n{done.stdout.decode()[-4000:]}")


def _train() -> None:
    first = HapiServer(EMPTY, options=(f"-XX:ArchiveClassesAtExit={ARCHIVE}",))
    try:
        first.start()
        first.stop(timeout=120)
    finally:
        first.kill()


class HapiServer:
    """One server process over one directory; the data outlive the process.

    `port=0` takes a free port at the first start and keeps it for later ones, so
    that `base_url` holds across restarts. The log is `hapi.log` in the directory.
    `version` is R4 or R4B; the empty database is the same for both.
    """

    def __init__(
        self,
        workdir: Path,
        port: int = 0,
        options: tuple[str, ...] | None = None,
        version: str = "R4",
    ) -> None:
        self.workdir = Path(workdir)
        self.port = port
        self.log = self.workdir / "hapi.log"
        self._options = options
        self._version = version
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where FHIR is served, without a slash at the end."""
        if not self.port:
            raise HapiError("HAPI FHIR has no address before its first start")
        return f"http://127.0.0.1:{self.port}/fhir"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def build(self) -> None:
        """Build what is run; nothing to do when it is up to date."""
        build()

    def start(self, timeout: float = 300) -> None:
        """Start and return once `GET /metadata` answers 200, within `timeout` s."""
        if self.running:
            return
        deadline = time.monotonic() + timeout
        self._prepare()
        options = self._options
        if options is None:
            options = (f"-XX:SharedArchiveFile={ARCHIVE}", "-Xshare:auto")
        classpath = f"{JAR}{os.pathsep}{CLASSPATH.read_text()}"
        command = ["java", *JAVA_OPTIONS, *options, "-cp", classpath]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *command,
                    "HapiServer",
                    str(self.workdir),
                    str(self.port),
                    self._version,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.port = self._read_port(deadline)
            self._check_metadata(deadline)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 60) -> None:
        """End it in good order: requests first, then the database."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is None:
            return
        self._process.kill()
        self._close()

    def restart(self, timeout: float = 300) -> None:
        """Stop and start again at the same address with the same data."""
        self.stop()
        self.start(timeout)

    def _prepare(self) -> None:
        self.workdir.mkdir(parents=True, exist_ok=True)
        if (self.workdir / "schema").exists() or self.workdir == EMPTY:
            return
        shutil.copy(EMPTY / "h2.mv.db", self.workdir / "h2.mv.db")
        (self.workdir / "schema").touch()

    def _read_port(self, deadline: float) -> int:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise HapiError(f"HAPI FHIR did not start in time; see {self.log}")
        line = self._process.stdout.readline()
        if not line:
            raise HapiError(f"HAPI FHIR ended while starting; see {self.log}")
        return int(line)

    def _check_metadata(self, deadline: float) -> None:
        patience = max(1.0, deadline - time.monotonic())
        try:
            with urllib.request.urlopen(
                f"{self.base_url}/metadata", timeout=patience
            ) as answer:
                answer.read()
        except (urllib.error.URLError, TimeoutError) as error:
            raise HapiError(f"HAPI FHIR is not healthy; see {self.log}") from error

    def _close(self) -> None:
        process, self._process = self._process, None
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
