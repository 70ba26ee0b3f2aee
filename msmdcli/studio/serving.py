"""`msmd studio` from its start to Ctrl-C: the model is loaded, the page is served to this machine alone."""

from __future__ import annotations

import importlib.util
import secrets
import socket
import threading
import webbrowser
from dataclasses import replace
from pathlib import Path

from msmdcli.batch.planned import BatchOptions
from msmdcli.batch.redoing import run_words, with_run_options
from msmdcli.batch.report_file import read_report
from msmdcli.console import Console
from msmdcli.errors import UsageError, install_command
from msmdcli.studio.project import Project, find_project

HERE = "127.0.0.1"
PATIENCE = 2  # seconds that answers get to end after Ctrl-C


def serve(given: Path, out: Path | None, options: BatchOptions, port: int, browser: bool, console: Console) -> None:
    """Serve the studio until Ctrl-C or SIGTERM.

    Args:
        given: a manifest, or the OUT of its batch.
        out: OUT; None is the one given, else `out`.
        options: of the batch that is to write the lines; manifest and OUT are filled in here.
        port: to listen on; 0 takes a free one.
        browser: open the page.
        console: where the address is told.

    Raises:
        UsageError: a package is missing, the manifest is wrong, or the port is taken.
        MsmdError: the model cannot be used here.
    """
    if importlib.util.find_spec("ruamel") is None:  # it is imported with the first line that is kept
        raise UsageError("msmd studio needs ruamel.yaml", hint=install_command("cpu,studio"))
    try:
        import uvicorn

        from msmdcli.studio.answers import Studio
        from msmdcli.studio.app import studio_app
        from msmdcli.studio.guard import Guard
    except ImportError as error:
        raise UsageError(f"msmd studio needs {error.name}", hint=install_command("cpu,studio")) from None

    manifest, found_out = find_project(given, out)
    options = replace(options, manifest=manifest, out=found_out)
    if manifest != given.expanduser():  # OUT was given: the page shows what its run would make
        report = read_report(given.expanduser())
        options = with_run_options(options, report)
        if words := run_words(report):
            console.say(f"The options of the run count: {words}")
    project = Project(options)
    studio = Studio(project)
    try:
        listening = listening_at(port)
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(24)
        app, policy = studio_app(studio, token)
        address = f"http://{HERE}:{port}/{token}/"
        console.event("studio", address=address, manifest=str(manifest), out=str(found_out))
        console.result(address)
        console.say("The studio is open at this address until Ctrl-C. Nobody else can use it without the address.")
        if browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            Guard(app, token, port, policy),
            log_level="warning",
            access_log=False,  # it would write the token
            lifespan="off",
            server_header=False,
            ws="none",
            http="h11",  # asked for by name: what else there might be is not looked for
            loop="asyncio",
            timeout_graceful_shutdown=PATIENCE,
        )
        try:
            uvicorn.Server(config).run(sockets=[listening])
        except KeyboardInterrupt:
            pass  # the usual end
        finally:
            listening.close()
        console.say("The studio is closed.")
    finally:
        studio.close()


def listening_at(port: int) -> socket.socket:
    """A socket that listens on this machine alone, at this port or (0) a free one.

    Raises:
        UsageError: the port cannot be had.
    """
    # TCP by name: asyncio sends at once (TCP_NODELAY) on such sockets only, else each answer waits 40 ms for the
    # browser's acknowledgement of its head.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HERE, port))
        made.listen()  # whoever reads the address may ask at once
    except OSError as error:
        made.close()
        raise UsageError(f"port {port} cannot be used: {error.strerror or error}", hint="give another --port") from None
    return made
