"""The Android package: built, signed and read again by Debian's tools; its pages answer in a browser like Android's.

Nothing here starts Android itself: there is no emulator in Debian. What its classes do is checked as far as their
assembler and its verifier of signatures go, and the web part in Chromium, from the files of the package.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from browsing import needs_chromium, playwright
from medloupe.ondevice.release import TYPES, Release
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.device import build_device_release
from missing import give_up
from places import ROOT
from pocket import shipped_pictures

sys.path.insert(0, str(ROOT / "scripts"))
import apk
from medloupe.starter.shipped import load_shipped

pytestmark = pytest.mark.slow
HOME = "https://appassets.androidplatform.net/"
ANDROID = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
    "locale": "fr",
    "user_agent": "Mozilla/5.0 (Linux; Android 10; SM-A105F Build/QP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Version/4.0 Chrome/120.0 Mobile Safari/537.36",
}


@pytest.fixture(scope="module")
def release(web_runtime: Path) -> Release:
    name = shipped_pictures()[0] if "pneumonia" not in shipped_pictures() else "pneumonia"
    return build_device_release([CheckUp.of(load_shipped(name))], server=False)


@pytest.fixture(scope="module")
def package(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if missing := [*apk.missing_tools(), *([] if shutil.which("keytool") else ["keytool"])]:
        give_up(f"not installed: {', '.join(missing)}; docs/android.md")
    folder = tmp_path_factory.mktemp("apk")
    key = folder / "own.keystore"
    command = ["keytool", "-genkeypair", "-keystore", str(key), "-storepass", "four grey herons", "-alias", "medloupe"]
    subprocess.run([*command, "-keyalg", "RSA", "-keysize", "2048", "-validity", "30", "-dname", "CN=test"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(apk.PASSWORD, "four grey herons")
        apk.build_apk(release, key, folder / "medloupe.apk")
    return folder / "medloupe.apk"


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_it_is_signed_and_says_what_it_is(package: Path) -> None:
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in said("apksigner", "verify", "-v", str(package))
    badging = said("aapt", "dump", "badging", str(package))
    assert "package: name='org.medloupe.pocket'" in badging and "launchable-activity" in badging
    allowed = {line.split("'")[1].rpartition(".")[2] for line in badging.splitlines() if "uses-permission" in line}
    assert allowed == {"CAMERA", "ACCESS_COARSE_LOCATION", "ACCESS_FINE_LOCATION"}, "not INTERNET: it sends nothing"


def test_it_holds_the_whole_app_and_the_classes(package: Path, release: Release) -> None:
    with zipfile.ZipFile(package) as held:
        inside = {n.removeprefix("assets/web/") for n in held.namelist() if n.startswith("assets/web/")}
        assert inside == set(release.files)
        for path, data in release.files.items():
            assert held.read(f"assets/web/{path}") == (data.read_bytes() if isinstance(data, Path) else data)
        classes = held.read("classes.dex")
    assert classes.startswith(b"dex\n")
    for text in ("onShowFileChooser", "onPermissionRequest", "onGeolocationPermissionsShowPrompt", *TYPES.values()):
        assert text.encode() in classes


def test_later_versions_have_larger_numbers() -> None:
    numbers = [apk.version_code(v) for v in ("0.1.0", "0.1.1", "0.2.0", "1.0.0rc1", "1.12.3", "2.0.0")]
    assert numbers == sorted(set(numbers))


@needs_chromium
def test_its_pages_answer_out_of_the_package(package: Path, chromium: Any, tmp_path: Path) -> None:
    import generated

    context = chromium.new_context(**ANDROID)
    context.set_default_timeout(120_000)
    foreign: list[str] = []
    with zipfile.ZipFile(package) as held:

        def hand_out(route: Any) -> None:
            path = route.request.url.removeprefix(HOME).partition("?")[0] or "index.html"
            try:
                body = held.read(f"assets/web/{path}")
            except KeyError:
                return route.fulfill(status=404, body="")
            kind = TYPES.get(Path(path).suffix, "application/octet-stream")
            return route.fulfill(status=200, body=body, content_type=kind)

        context.route(f"{HOME}**", hand_out)
        page = context.new_page()
        page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith((HOME, "blob:", "data:")) else None)
        page.goto(f"{HOME}index.html")
        page.wait_for_selector("html[data-ready]")
        playwright.expect(page.locator(".kept")).to_be_hidden()  # it is all there already
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        page.get_by_role("radio").first.check()
        page.locator("[name=source][value=never]").check()
        file = generated.save(tmp_path / "picture.png", generated.tissue(1, True))
        page.locator("[data-files]").set_input_files([file])
        answered = page.locator("[data-list] > li[data-state]:not([data-state=''])")
        playwright.expect(answered).to_have_count(1, timeout=240_000)
        assert answered.get_attribute("data-state") != "failed"
        playwright.expect(page.locator("[data-live]")).to_be_visible()  # the camera, where the system allows it
    context.close()
    assert foreign == []
