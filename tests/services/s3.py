"""An S3 server for tests: moto's server in a process of its own, 127.0.0.1 only; its objects are in its memory.

`python -m tests.services.s3` starts one with a bucket, prints the environment that leads to it, and stops it at Ctrl-C
or SIGTERM. A test can have requests refused.
"""

import json
import logging
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.services.server import Server, free_ports, serve

PROJECT = Path(__file__).parents[2]
BUCKET = "warehouse"
KEY, SECRET = "key-of-tests", "s3cret/k3y+of=tests"


@dataclass(frozen=True)
class Fault:
    """An answer to requests whose method and path match a pattern: to so many, after others were let through.

    With a status of 0 the request is done, and the connection is cut before the answer.
    """

    pattern: str
    status: int
    code: str
    times: int = 1_000_000
    after: int = 0


@contextmanager
def s3() -> Iterator["S3Server"]:
    """Yield a running server that has a bucket; afterwards stop it, and its objects are gone."""
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        server = S3Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


class S3Server(Server):
    """A server of one user, who may do everything, with the bucket `warehouse`."""

    title = "The S3 server"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, *free_ports(1))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which every S3 client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start the server, wait until it answers, and make the bucket."""
        self.refuse()
        command = [sys.executable, "-m", "tests.services.s3", str(self.port), str(self._folder)]
        self._run(command, self._answers, cwd=PROJECT)
        self.client().create_bucket(Bucket=BUCKET)

    def refuse(self, *faults: Fault) -> None:
        """Answer with faults from now on, instead of those before; with none, as a server does that is well."""
        part = self._folder / "faults.part"
        part.write_text(json.dumps([asdict(fault) for fault in faults]))
        part.rename(self._folder / "faults")

    def refused(self) -> list[str]:
        """Return method and path of the requests that faults have answered since `refuse`."""
        (self._folder / "refused").touch()
        return (self._folder / "refused").read_text().splitlines()

    def client(self) -> Any:
        """Return a client of another library than the project's, to put and look at objects."""
        import boto3

        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **keys)

    def put(self, key: str, content: bytes) -> None:
        self.client().put_object(Bucket=BUCKET, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        content: bytes = self.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def empty(self) -> None:
        """Delete every object."""
        keys = self.keys()
        for at in range(0, len(keys), 1_000):
            listed = [{"Key": key} for key in keys[at : at + 1_000]]
            self.client().delete_objects(Bucket=BUCKET, Delete={"Objects": listed})

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Faulty:
    """Moto's server as a WSGI application; a write on a condition is atomic, as S3 promises and moto does not."""

    def __init__(self, folder: Path) -> None:
        from moto.server import create_backend_app

        self._server = create_backend_app("s3")  # its dispatcher to services lists moto's modules at each request
        self._folder, self._lock = folder, threading.Lock()
        self._text, self._counts = "", list[int]()

    def __call__(self, request: dict[str, Any], start: Any) -> Iterable[bytes]:
        fault = self._fault(f"{request['REQUEST_METHOD']} {request['PATH_INFO']}?{request['QUERY_STRING']}")
        if fault is not None and fault.status:
            content = f"<Error><Code>{fault.code}</Code><Message>for a test</Message></Error>".encode()
            start(f"{fault.status} {fault.code}", [("Content-Length", str(len(content)))])
            return [content]
        with self._lock if request["REQUEST_METHOD"] == "PUT" else nullcontext():
            answer = list(self._server(request, start))
        if fault is not None:
            request["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer

    def _fault(self, asked: str) -> Fault | None:
        with self._lock:
            text = (self._folder / "faults").read_text()
            faults = [Fault(**one) for one in json.loads(text)]
            if text != self._text:
                self._text, self._counts = text, [0] * len(faults)
                (self._folder / "refused").unlink(missing_ok=True)
            for at, fault in enumerate(faults):
                if re.search(fault.pattern, asked):
                    self._counts[at] += 1
                    if fault.after < self._counts[at] <= fault.after + fault.times:
                        with (self._folder / "refused").open("a") as refused:
                            refused.write(f"{asked}\n")
                        return fault
        return None


if __name__ == "__main__" and len(sys.argv) > 1:
    from werkzeug.serving import WSGIRequestHandler, run_simple

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # which keeps connections open
    WSGIRequestHandler.disable_nagle_algorithm = True  # head and body are two packets, and the second would wait
    run_simple("127.0.0.1", int(sys.argv[1]), Faulty(Path(sys.argv[2])), threaded=True)
elif __name__ == "__main__":
    lake = {"ML_WAREHOUSE_LAKE": f"s3://{BUCKET}/lake"}
    serve(
        s3(),
        lambda server: "\n".join(f"export {name}='{value}'" for name, value in {**server.environment, **lake}.items()),
    )
