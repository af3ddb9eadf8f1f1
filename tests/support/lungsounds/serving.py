"""How pages speak of lung sounds."""

from __future__ import annotations

from medloupe.serving.web.kinds import PageKind

ENTRY = PageKind(name="sound", accept="audio/wav,.wav", sign="pulse", trace=True)
