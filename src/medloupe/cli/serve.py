"""`medloupe serve`: run the web page and the API."""

from __future__ import annotations

from typing import Annotated

import typer

from medloupe.cli.options import Home
from medloupe.errors import MedloupeError
from medloupe.utils.amounts import parse_amount


def parse_bytes(text: str) -> int:
    """Read an amount of memory such as "512MB", in bytes.

    Raises
    ------
    typer.BadParameter
        The text is no amount of memory.
    """
    amount = parse_amount(text)
    if amount is None:
        raise typer.BadParameter(f"{text!r} is no amount of memory; write 512MB or 2GB.", param_hint="--memory")
    return amount


def run_serve(
    host: Annotated[str, typer.Option(metavar="H", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="P", min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What the networks held may take together.")] = "512MB",
    queue: Annotated[
        int, typer.Option(metavar="N", min=1, help="Requests at work or waiting; more are told to come back.")
    ] = 32,
    keep_images: Annotated[
        bool, typer.Option("--keep-images", help="Keep the pictures that people send, for retraining.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name under which browsers may ask for the server.")
    ] = None,
    public_url: Annotated[
        str, typer.Option(metavar="URL", help="Address under which browsers reach it (MEDLOUPE_PUBLIC_URL).")
    ] = "",
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="NET", help="A proxy whose X-Forwarded-* count (MEDLOUPE_TRUSTED_PROXIES)."),
    ] = None,
    review: Annotated[
        str,
        typer.Option(
            metavar="off|single|double",
            help="Let people send answers into review, with the picture and the basis on which it is kept; one reader"
            " for each, or two.",
        ),
    ] = "off",
    pilot: Annotated[
        bool, typer.Option("--pilot", help="Begin a pilot: answers are recorded and not shown until an admin ends it.")
    ] = False,
    worker: Annotated[
        bool, typer.Option("--worker/--no-worker", help="Do the trainings of the studio here, one at a time.")
    ] = True,
    home: Home = None,
) -> None:
    """Serve the models in production as a web page and an API, with the studio where new ones are made."""
    budget = parse_bytes(memory)
    if review not in ("off", "single", "double"):
        raise typer.BadParameter(f"{review!r} is none of off, single and double.", param_hint="--review")
    from medloupe import settings
    from medloupe.accounts.people import People
    from medloupe.review.extension import extend_with_review
    from medloupe.serving import observe
    from medloupe.serving.access.auth import check_bind
    from medloupe.serving.access.origin import is_loopback
    from medloupe.serving.access.proxies import parse_proxies, parse_public_url
    from medloupe.serving.app import create_app
    from medloupe.serving.engine.service import Service
    from medloupe.serving.server import listen, serve
    from medloupe.serving.tracing import start_tracing
    from medloupe.store.models import Store
    from medloupe.store.pilots import Pilots
    from medloupe.studio.extension import extend_with_studio
    from medloupe.watch.extension import extend_with_watch

    settings.read_settings()
    public = parse_public_url(public_url or settings.setting("MEDLOUPE_PUBLIC_URL"))
    proxies = parse_proxies(",".join(trusted_proxy or ()) or settings.setting("MEDLOUPE_TRUSTED_PROXIES"))
    store = Store.open()
    check_bind(host, People(store.engine), behind_proxy=public is not None or bool(proxies))
    listening = listen(host, port)
    observe.log_to_stderr()
    tracing = start_tracing()
    try:
        store.sweep()
    except MedloupeError as e:  # a store on a full disk or one that may only be read still serves
        typer.echo(f"medloupe: {e}", err=True)
    if pilot:
        Pilots(store.engine).begin(by="command line")
    service = Service(store, memory=budget, keep_images=keep_images)
    if service.pilot.running is not None:
        typer.echo(f"medloupe: a pilot runs since {service.pilot.running.started}; answers are not shown.", err=True)
    try:
        service.journal.sweep()
    except (MedloupeError, OSError) as e:
        typer.echo(f"medloupe: {e}", err=True)
    app = create_app(
        service,
        loopback=is_loopback(host),
        hosts=allow_host or (),
        queue=queue,
        public=public,
        proxies=proxies,
        tracing=tracing,
        extend=[
            extend_with_studio(work=worker),
            extend_with_watch(),
            *([extend_with_review(double=review == "double")] if review != "off" else []),
        ],
    )
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"http://{shown}:{listening.getsockname()[1]}/   Research software, not a medical device.", err=True)
    serve(app, listening)
