"""Draw boxes in the editor of the pages as people do: by mouse, by finger, or by keyboard alone."""

from __future__ import annotations

import json
from typing import Any

WAYS = ("mouse", "touch", "keyboard")


def boxes_of(page: Any) -> list[dict[str, Any]]:
    """The boxes as the form would send them."""
    return json.loads(page.locator("[data-boxes]").input_value())


def size_of(page: Any) -> tuple[int, int]:
    """Width and height of the picture in its own pixels."""
    area = page.locator("[data-drawing]")
    return int(area.get_attribute("data-width")), int(area.get_attribute("data-height"))


def drag(page: Any, how: str, *places: tuple[float, float]) -> None:
    """Press at the first of some places of the picture, in shares of its sides, pull along the others, and let go."""
    page.wait_for_selector("[data-boxeditor][data-ready]")
    page.locator("[data-stage]").scroll_into_view_if_needed()
    at = page.locator("[data-drawing]").bounding_box()
    points = [(at["x"] + at["width"] * x, at["y"] + at["height"] * y) for x, y in places]
    if how == "touch":
        touch = page.context.new_cdp_session(page)
        kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
        for kind, (x, y) in zip(kinds, points, strict=True):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        return
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def spread_fingers(page: Any, apart: float) -> None:
    """Two fingers in the middle of the picture, drawn apart so many times."""
    at = page.locator("[data-drawing]").bounding_box()
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    touch = page.context.new_cdp_session(page)
    for kind, reach in (("touchStart", 30), ("touchMove", 30 * apart)):
        both = [{"x": x - reach, "y": y, "id": 1}, {"x": x + reach, "y": y, "id": 2}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": both})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def press(page: Any, *keys: str) -> None:
    """Press keys one after the other where the focus is."""
    for key in keys:
        page.keyboard.press(key)
