"""The documentation as a site: links lead somewhere, nothing is loaded from elsewhere, every face has its page."""

from __future__ import annotations

import importlib
import re
import runpy
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import medloupe
from browsing import Watch, needs_chromium

pytestmark = pytest.mark.slow  # the site is built first

ROOT = Path(__file__).resolve().parents[2]
SITE_URL = "https://medloupe.github.io/medloupe/"
LOADED = {  # what a browser fetches by itself: tag → attributes
    "script": ("src",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href", "xlink:href"),
}
NO_LOAD = {"canonical", "next", "prev", "alternate", "author", "license"}  # of <link rel>


class Page(HTMLParser):
    """What of a page can be linked to, what it links to, and what it loads."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.anchors |= {told[name] for name in ("id", "name") if told.get(name)}
        if tag == "a" and told.get("href"):
            self.links.append(told["href"])
        if tag == "link" and not NO_LOAD & set(told.get("rel", "").split()):
            self.loads.append(told["href"])
        self.loads += [told[name] for name in LOADED.get(tag, ()) if told.get(name)]
        self.loads += re.findall(r"url\(([^)]+)\)", told.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, with the pictures that are there."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "scripts/build_docs.py", "--out", folder / "site", "--work", folder / "build"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """Every page by its path."""
    return {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


def broken(pages: dict[Path, Page], site: Path) -> Iterator[str]:
    """Each internal link, and each internal thing loaded, that leads nowhere."""
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link.removeprefix(SITE_URL) if path.name != "404.html" else link)
            if parts.scheme or parts.netloc or link.startswith("data:"):
                continue
            there = site if path.name == "404.html" else path.parent
            target = (there / unquote(parts.path.removeprefix("/medloupe/"))).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if target not in pages and not target.is_file():
                yield f"{path.relative_to(site)}: {link}: no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(site)}: {link}: no such place in the page"


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Page], site: Path) -> None:
    links = [link for page in pages.values() for link in page.links]
    assert len(pages) > 20
    assert sum(not urlsplit(link).scheme for link in links) > 500
    assert list(broken(pages, site)) == []


def test_the_walk_finds_what_is_broken(pages: dict[Path, Page], site: Path) -> None:
    """A page with three links that lead nowhere among two that do."""
    text = '<a href="card.html">a</a><a href="index.html#nowhere">b</a><a href="gone.html">c</a><img src="gone.png">'
    more = {**pages, site / "made.html": Page(text + '<p id="here"><a href="#here">d</a>')}
    assert [line.split(": ")[1] for line in broken(more, site)] == ["index.html#nowhere", "gone.html", "gone.png"]


def test_links_to_the_code_host_name_files_that_are_in_the_repository(pages: dict[Path, Page]) -> None:
    host = "https://github.com/medloupe/medloupe/blob/main/"
    named = {link.removeprefix(host).split("#")[0] for page in pages.values() for link in page.links if host in link}
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_nothing_is_named_that_would_be_loaded_from_elsewhere(pages: dict[Path, Page], site: Path) -> None:
    """Neither in a page nor in a style sheet."""
    assert all(page.loads for page in pages.values())
    outside = {link for page in pages.values() for link in page.loads if re.match(r"(https?:)?//", link)}
    styles = [found for css in site.rglob("*.css") for found in re.findall(r"url\(([^)]+)\)", css.read_text("utf-8"))]
    imports = [found for css in site.rglob("*.css") for found in re.findall(r"@import[^;]+", css.read_text("utf-8"))]
    assert outside == set()
    assert [url for url in styles if re.match(r"[\"']?(https?:)?//", url)] == []
    assert imports == []


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    """Where the site is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_loads_nothing_from_elsewhere_and_finds_by_search(chromium: Any, url: str, scheme: str) -> None:
    """Scripts ask no other host; nothing is wider than a phone; dark is dark; the search knows the pages."""
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    watch = Watch(context, url)
    page = context.new_page()
    for name in ("index.html", "checkups.html", "python/medloupe.html", "three-steps.html"):
        page.goto(url + name)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 3 * 128) == (scheme == "dark")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search").fill("balanced_accuracy")
    page.get_by_role("option").filter(has_text="evaluation passport").first.wait_for(timeout=10_000)
    watch.check()
    context.close()


def test_every_public_name_is_in_the_reference_once(pages: dict[Path, Page], site: Path) -> None:
    """What `import medloupe` offers and each package's own names, by their full paths; each package has its page."""
    faces = {face.package: face for face in runpy.run_path(str(ROOT / "scripts" / "docs_reference.py"))["faces"]()}
    assert set(medloupe.__all__) - {"__version__"} == set(faces["medloupe"].names)
    packages = [f"medloupe.{found.parent.name}" for found in (ROOT / "src" / "medloupe").glob("*/__init__.py")]
    offering = {
        name: module.__all__ for name in packages if hasattr(module := importlib.import_module(name), "__all__")
    }
    assert len(offering) > 10
    assert {name for name in offering if not set(offering[name]) <= set(faces[name].names)} == set()
    written = Counter(anchor for path, page in pages.items() if path.parent.name == "python" for anchor in page.anchors)
    for face in faces.values():
        assert face.names, face.package
        assert (site / face.page.replace(".md", ".html")) in pages
        assert {name: written[name] for name in face.names.values()} == dict.fromkeys(face.names.values(), 1)


def test_names_that_are_not_public_are_not_in_the_reference(pages: dict[Path, Page], site: Path) -> None:
    anchors = {anchor for path, page in pages.items() if path.parent.name == "python" for anchor in page.anchors}
    named = [anchor for anchor in anchors if anchor.startswith("medloupe.")]
    assert len(named) > 20
    assert [name for name in named if re.search(r"\._[a-z]", name)] == []


def test_lists_stay_lists(pages: dict[Path, Page], site: Path) -> None:
    """Markdown of the code host and of the site differ: a list without a blank line before it is none in the site."""
    for path in pages:
        text = re.sub(r"<(pre|code).*?</\1>", "", path.read_text("utf-8"), flags=re.DOTALL)
        assert re.findall(r"<p>[^<]*\n(?:[-*]|\d+\.) [^<]*", text) == [], path.name
